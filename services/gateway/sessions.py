"""The console's sessions: an API key, sealed in a cookie that scripts cannot read and other sites cannot send.

The gateway has no database and several replicas: the session is the cookie. It holds no rights of its own, for each
call asks about the key anew; so revoking the key ends its sessions at once.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contracts.failures import Refused
from services.gateway.auth import Secret, presented
from services.gateway.settings import GatewaySettings

COOKIE = "hmq_session"
SECURE_COOKIE = (
    "__Host-hmq_session"  # browsers take this name by https only, from this very host (RFC 6265bis)
)
HEADER = "x-console-session"
"""What a page of another site cannot add without being asked about it first (CORS), and we say no."""
KEY_CHARS_MAX = 3000  # a cookie has 4,096 bytes; an issuer's token may be long
_NONCE_BYTES = 12
_PURPOSE = b"hybridmq console session v1"
_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Session:
    key: str
    expires_at: datetime

    @property
    def secret(self) -> Secret:
        return presented({"authorization": f"Bearer {self.key}"}, device_allowed=False)


class Sessions:
    """Seals, opens, and says which requests may use one."""

    def __init__(self, settings: GatewaySettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._clock = settings, clock

    def begin(self, key: str) -> tuple[Session, str]:
        """A new session with the cookie's value. The key was checked before."""
        expires = int(self._clock()) + int(self._settings.session_lasts_s)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._box.encrypt(nonce, json.dumps([key, expires]).encode(), _PURPOSE)
        return Session(key, datetime.fromtimestamp(expires, UTC)), _text(sealed)

    def open(self, value: str) -> Session:
        """The session of a cookie's value. Refused("session.ended") for any other, and after its end."""
        try:
            sealed = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
            plain = self._box.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _PURPOSE)
        except (InvalidTag, binascii.Error, ValueError):
            raise Refused("session.ended", "sign in again") from None
        key, expires = json.loads(plain)
        if expires <= self._clock():
            raise Refused("session.ended", "sign in again: a session lasts some hours")
        return Session(key, datetime.fromtimestamp(expires, UTC))

    def of(self, method: str, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Session | None:
        """The session that a request comes with, None where it brings none.

        Refused: session.foreign where another site may have caused it, session.ended.
        """
        value = cookies.get(SECURE_COOKIE) or cookies.get(COOKIE)
        if not value:
            return None
        check_own(method, headers)
        return self.open(value)

    @cached_property
    def _box(self) -> AESGCM:
        given = self._settings.session_key
        # All replicas have the same seed, and nobody else has it.
        source = (given or self._settings.nats_seed).get_secret_value().encode()
        return AESGCM(HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(source))


def check_own(method: str, headers: Mapping[str, str]) -> None:
    """Refuses what another site's page may have caused: by the browser's word, and by what only ours can send."""
    foreign = Refused(
        "session.foreign", "a session is for the pages of this console: send an API key instead"
    )
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise foreign
    if (origin := headers.get("origin")) is not None and urlsplit(origin).netloc != headers.get("host"):
        raise foreign
    if method not in _SAFE and HEADER not in headers:
        raise foreign


def cookie(value: str, lasts_s: int, *, secure: bool) -> str:
    """A Set-Cookie header; an empty value ends the session."""
    name = SECURE_COOKIE if secure else COOKIE
    made = f"{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lasts_s}"
    return f"{made}; Secure" if secure else made


def came_by_https(headers: Mapping[str, str]) -> bool:
    """As the page knows it; behind a proxy that ends TLS we would not."""
    return headers.get("origin", "").startswith("https://")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
