"""The public keys of an OpenID issuer: by its discovery document (OpenID Connect Discovery 1.0) and key set (RFC 7517).

Fetched when first needed, and again when they are old or a token names a key that is not among them, at most
every `AGAIN_S`. While the issuer is away, the keys that are here go on.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from contracts.failures import Refused, Unavailable
from runtime.observe import log

_log = log(part="oidc")
ALGORITHMS = ("RS256", "ES256", "EdDSA")  # asymmetric ones alone: with HS* the public key would be the secret
FRESH_S = 3600.0  # issuers keep a retired key for a day or more
KEPT_S = 24 * 3600.0  # with an issuer that is away for longer, a withdrawn key would be trusted for too long
AGAIN_S = 10.0  # tokens of unknown keys cost the issuer one question in this time
TIMEOUT_S = 5.0
DOCUMENT_BYTES_MAX = 256 * 1024
KEYS_MAX = 100
RSA_BITS_MIN = 2048
LOOPBACK = ("127.0.0.1", "::1", "localhost")

PublicKey = RSAKey | ECKey | OKPKey


class Key(NamedTuple):
    id: str | None
    algorithm: str
    public: PublicKey


class IssuerKeys:
    """The keys of one issuer."""

    def __init__(self, issuer: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer, self._clock = issuer, clock
        self._keys: tuple[Key, ...] = ()
        self._fetched_at = self._tried_at = float("-inf")
        self._away: str | None = None  # why the last question had no answer
        self._asking = asyncio.Lock()
        self._refresh: asyncio.Task[None] | None = None

    async def find(self, algorithm: str, id: str | None) -> PublicKey:
        """The key that a token names. Raises Refused("key.invalid"), or Unavailable when nobody can say."""
        age_s = self._clock() - self._fetched_at
        if age_s > KEPT_S:
            await self._ask_again()
            self._require_keys()
        elif age_s > FRESH_S and self._may_ask and (self._refresh is None or self._refresh.done()):
            self._refresh = asyncio.create_task(self._ask_again(), name="issuer keys")
        found = self._held(algorithm, id)
        if found is None:
            await self._ask_again()
            found = self._held(algorithm, id)
        if found is None and self._away is not None:
            raise Unavailable("service.unavailable", "the issuer of the token cannot be asked for its keys")
        if found is None:
            raise Refused("key.invalid", "the token is signed with a key that its issuer does not have")
        return found

    @property
    def _may_ask(self) -> bool:
        return self._clock() - self._tried_at >= AGAIN_S

    def _require_keys(self) -> None:
        if self._clock() - self._fetched_at > KEPT_S:
            raise Unavailable("service.unavailable", "the issuer of the token cannot be asked for its keys")

    def _held(self, algorithm: str, id: str | None) -> PublicKey | None:
        """Without an id in the token, the issuer's only key of that kind."""
        fit = [key for key in self._keys if key.algorithm == algorithm and id in (None, key.id)]
        return fit[0].public if len(fit) == 1 or (fit and id is not None) else None

    async def _ask_again(self) -> None:
        """All who come at the same time share one question."""
        async with self._asking:
            if not self._may_ask:
                return
            self._tried_at = self._clock()
            self._away = "it was asked, and nobody waited for the answer"
            try:
                async with asyncio.timeout(2 * TIMEOUT_S):
                    self._keys = await self._ask()
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, RecursionError) as error:
                self._away = str(error) or type(error).__name__
                _log.warning("the issuer's keys cannot be read", issuer=self._issuer, error=self._away)
            else:
                self._fetched_at, self._away = self._clock(), None

    async def _ask(self) -> tuple[Key, ...]:
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            where = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
            discovery = await _document(client, where)
            if discovery.get("issuer") != self._issuer:
                raise ValueError("its discovery document names another issuer")
            address = discovery.get("jwks_uri")
            if not isinstance(address, str) or not trustworthy(address):
                raise ValueError("its jwks_uri is no https address")
            entries = (await _document(client, address)).get("keys")
            if not entries or not isinstance(entries, list):
                raise ValueError("its key set has no keys")
            return tuple(key for entry in entries[:KEYS_MAX] if (key := _key(entry)) is not None)


def trustworthy(address: str) -> bool:
    """https, or this very machine."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if parts.scheme == "http":
        return parts.hostname in LOOPBACK
    return parts.scheme == "https" and bool(parts.hostname)


async def _document(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    body = b""
    async with client.stream("GET", address, headers={"accept": "application/json"}) as answer:
        if answer.status_code != httpx.codes.OK:
            raise ValueError(f"{address} answered {answer.status_code}")
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > DOCUMENT_BYTES_MAX:
                raise ValueError(f"{address} is larger than {DOCUMENT_BYTES_MAX} bytes")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError(f"{address} is no JSON object")  # noqa: TRY004 - as any other unusable answer
    return found


def _key(entry: Any) -> Key | None:
    """A key that can verify what we take; None for any other (issuers publish keys for much)."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    id = entry.get("kid")
    try:
        made = _public(entry)
    except (JoseError, ValueError, TypeError):
        return None
    if made is None or entry.get("alg", made[0]) != made[0] or not isinstance(id, str | None):
        return None
    return Key(id, *made)


def _public(entry: dict[str, Any]) -> tuple[str, PublicKey] | None:
    match entry.get("kty"), entry.get("crv"):
        case "RSA", _:
            key = RSAKey.import_key({name: entry[name] for name in ("kty", "n", "e") if name in entry})
            return ("RS256", key) if key.public_key.key_size >= RSA_BITS_MIN else None
        case "EC", "P-256":
            return "ES256", ECKey.import_key({name: entry.get(name, "") for name in ("kty", "crv", "x", "y")})
        case "OKP", "Ed25519":
            return "EdDSA", OKPKey.import_key({name: entry.get(name, "") for name in ("kty", "crv", "x")})
    return None
