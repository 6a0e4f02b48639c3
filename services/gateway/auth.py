"""Who calls: an API key, the admin key or an issuer's token (Bearer), or a device credential (Basic).

The credentials service says. Answers are cached for seconds; what passes by in the REGISTRY drops them at
once, so that a revoked key is refused by the next request.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from nats.aio.msg import Msg

from contracts import subjects
from contracts.credentials import AUTHENTICATE_DEVICE, AuthenticateDevice
from contracts.envelope import TYPE
from contracts.failures import Refused
from contracts.limits import GET_LIMITS, GetLimits
from contracts.organizations import (
    ALL_SCOPES,
    AUTHENTICATE,
    GET_ORGANIZATION,
    PLATFORM,
    Authenticate,
    GetOrganization,
    Principal,
)
from contracts.secrets_format import well_formed
from runtime.bus import Bus
from runtime.rpc import call
from services.gateway.tokens import Tokens, looks_like_token

KEPT_S = 30.0  # bounds how long an answer outlives a registry message that never came
REFUSAL_KEPT_S = 2.0  # a client that hammers with a bad key costs one look-up in this time
KEPT_MAX = 10_000
ENDED_KEPT_S = 60.0  # longer than the credentials service's read side may lag behind its own log
ORGANIZATION = re.compile(r"org_[a-z0-9]{16}")


@dataclass(frozen=True, slots=True)
class Secret:
    """What a caller proved itself with; `username` only for a device's Basic."""

    value: str
    username: str | None = None
    is_token: bool = False  # an issuer's, not a secret of ours

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(f"{self.username or ''}\0{self.value}".encode()).digest()


def presented(headers: Mapping[str, str], *, device_allowed: bool) -> Secret:
    """The secret of the Authorization header, its form and checksum right; Refused (401) else."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    value = value.strip()
    if not value:
        raise Refused("key.missing", "send `Authorization: Bearer hmq_key_…`")
    if scheme.lower() == "bearer":
        if looks_like_token(value):
            return Secret(value, is_token=True)
        if not (well_formed(value, "key") or well_formed(value, "admin")):
            raise Refused("key.invalid", "this is no key of this platform: is it complete?")
        return Secret(value)
    if scheme.lower() == "basic" and device_allowed:
        try:
            username, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Refused("key.invalid", "the Basic credentials cannot be read") from None
        if not username or not well_formed(password, "dev"):
            raise Refused("key.invalid", "this is no credential of this platform: is it complete?")
        return Secret(password, username)
    raise Refused("key.invalid", "send `Authorization: Bearer hmq_key_…`")


def on_behalf(principal: Principal, organization: str | None) -> Principal:
    """The operator, acting for one organization; a tenant's key acts for its own and no other."""
    if organization is None:
        return principal
    if principal.organization != PLATFORM or not ORGANIZATION.fullmatch(organization):
        raise Refused(
            "scope.missing", "acting for another is for the admin key, which names an organization's id"
        )
    return principal.model_copy(update={"organization": organization, "scopes": ALL_SCOPES})


class Keys:
    """Authenticates by the credentials service, with a cache that the REGISTRY keeps honest."""

    def __init__(
        self, bus: Bus, *, clock: Callable[[], float] = time.monotonic, tokens: Tokens | None = None
    ) -> None:
        self._bus, self._tokens = bus, tokens
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, Principal | Refused]] = OrderedDict()
        self._ended: OrderedDict[str, float] = OrderedDict()  # actors and organizations that are no more
        self._changes = 0
        self._reconnects = 0
        self._listeners: list[Callable[[str, str], None]] = []

    async def watch(self) -> None:
        """Hears what changes from now on."""
        for kind in ("api-key", "admin-key", "organization", "credential"):
            await self._bus.client.subscribe(subjects.registry_of_kind(kind), cb=self._on_change)

    def on_change(self, listener: Callable[[str, str], None]) -> None:
        """Called with organization and actor (or `organization`) of what changed."""
        self._listeners.append(listener)

    async def authenticate(self, secret: Secret) -> Principal:
        """Raises Refused (401), or Unavailable when nobody can say."""
        self._forget_after_reconnect()
        now = self._clock()
        kept = self._kept.get(secret.digest)
        if kept is None or kept[0] <= now:
            kept = await self._ask(secret)
        else:
            self._kept.move_to_end(secret.digest)
        answer = kept[1]
        if isinstance(answer, Refused):
            raise Refused(answer.code, answer.detail)
        if answer.actor in self._ended or answer.organization in self._ended:
            raise Refused("key.invalid", "the key was revoked")
        if answer.expires_at is not None and answer.expires_at <= datetime.now(UTC):
            raise Refused("key.invalid", "the key is expired")
        return answer

    async def _ask(self, secret: Secret) -> tuple[float, Principal | Refused]:
        changes = self._changes
        try:
            answer: Principal | Refused
            if secret.is_token:
                answer = await self._of_token(secret.value)
            elif secret.username is None:
                answer = await call(self._bus, AUTHENTICATE, Authenticate(secret=secret.value))
            else:
                asked = AuthenticateDevice(username=secret.username, password=secret.value)
                answer = await call(self._bus, AUTHENTICATE_DEVICE, asked)
        except Refused as refused:
            answer = refused
        lasts_s = REFUSAL_KEPT_S if isinstance(answer, Refused) else KEPT_S
        kept = (self._clock() + lasts_s, answer)
        if changes == self._changes:  # else the answer may be older than what has just changed
            self._kept[secret.digest] = kept
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return kept

    async def _of_token(self, token: str) -> Principal:
        """Raises Refused("key.invalid") also where the organization does not exist (any more)."""
        if self._tokens is None:
            raise Refused("key.invalid", "tokens of an issuer are not taken here")
        principal = await self._tokens.principal(token)
        asked = GetOrganization(organization=principal.organization, actor=principal.actor)
        try:
            await call(self._bus, GET_ORGANIZATION, asked)
        except Refused:
            raise Refused("key.invalid", "the token's organization does not exist here") from None
        of = GetLimits(organization=principal.organization, actor=principal.actor)
        limits = (await call(self._bus, GET_LIMITS, of)).limits()
        return principal.model_copy(update={"limits": limits})

    async def _on_change(self, message: Msg) -> None:
        entity = subjects.entity(message.subject)
        actor = {
            "api-key": f"key:{entity.id}",
            "admin-key": "admin",
            "credential": f"device:{entity.id}",
        }.get(entity.kind, "")
        kind = (message.headers or {}).get(TYPE, "")
        self._changes += 1
        if ".revoked." in kind or ".deleted." in kind:
            self._end(actor or entity.organization)
        for digest in [
            digest for digest, (_, held) in self._kept.items() if _concerns(held, entity.organization, actor)
        ]:
            del self._kept[digest]
        for listener in self._listeners:
            listener(entity.organization, actor)

    def _end(self, name: str) -> None:
        """Refused from now on, even where the credentials service has not yet read its own event."""
        now = self._clock()
        self._ended[name] = now + ENDED_KEPT_S
        while self._ended and next(iter(self._ended.values())) <= now:
            self._ended.popitem(last=False)

    def _forget_after_reconnect(self) -> None:
        """While we were away, messages passed unheard."""
        reconnects = self._bus.client.stats["reconnects"]
        if reconnects != self._reconnects:
            self._reconnects = reconnects
            self._changes += 1
            self._kept.clear()


def _concerns(held: Principal | Refused, organization: str, actor: str) -> bool:
    """A refusal goes too: the key may just have been made."""
    if isinstance(held, Refused):
        return True
    return held.organization == organization and (not actor or held.actor == actor)
