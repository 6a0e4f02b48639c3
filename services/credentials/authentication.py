"""Whose secret is this? The same answer for API keys, the admin key and devices, however they come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import SecretStr

from contracts.credentials import AuthenticateDevice
from contracts.failures import Refused
from contracts.organizations import PLATFORM, Authenticate, Principal
from contracts.secrets_format import well_formed
from services.credentials.directory import Directory, Entry
from services.credentials.hashing import Hashing
from services.credentials.ids import CREDENTIAL
from services.credentials.state import ApiKey, Credential
from services.credentials.views import standing

_REASONS = {"revoked": "connect.revoked", "expired": "connect.expired"}


class Found(NamedTuple):
    """`entry` also where the password is wrong: the tenant should know of it. `refused` is a failure code."""

    entry: Entry[Credential] | None
    refused: str | None


class Authentication:
    def __init__(self, directory: Directory, hashing: Hashing, admin_key: SecretStr) -> None:
        self._directory, self._hashing = directory, hashing
        self._admin = hashing.verifier(admin_key.get_secret_value())

    async def key(self, request: Authenticate) -> Principal:
        """Refused("key.invalid") whatever the reason: unknown, revoked, expired."""
        secret = request.secret
        if well_formed(secret, "admin") and self._hashing.verifies(secret, self._admin):
            return Principal(organization=PLATFORM, actor="admin", scopes=("admin",))
        if not well_formed(secret, "key"):
            raise Refused("key.invalid")
        if self._api_key(secret) is None:
            await self._directory.catch_up()
        entry = self._api_key(secret)
        if (
            entry is None
            or standing(entry.state, datetime.now(UTC)) != "active"
            or not self._directory.active(entry.organization)
        ):
            raise Refused("key.invalid")
        return Principal(
            organization=entry.organization,
            actor=f"key:{entry.id}",
            scopes=entry.state.scopes,
            expires_at=entry.state.expires_at,
        )

    async def device(self, request: AuthenticateDevice) -> Principal:
        """A device's credential over HTTP; refused with the same codes as at an MQTT connect."""
        if self.may_be_new(request.username, request.password):
            await self._directory.catch_up()
        entry, refused = self.check(request.username, request.password)
        if refused is not None or entry is None:
            raise Refused(refused or "connect.unknown")
        return Principal(
            organization=entry.organization,
            actor=f"device:{entry.id}",
            scopes=("publish",),
            expires_at=entry.state.expires_at,
            publish=entry.state.publish,
            device_id=entry.state.device_id,
        )

    async def catch_up(self) -> None:
        """Afterwards `check` knows whatever any replica had issued before. Raises Unavailable."""
        await self._directory.catch_up()

    def may_be_new(self, username: str, password: str) -> bool:
        """Whether this looks like a credential that another replica issued a moment ago."""
        return (
            username not in self._directory.credentials.by_id
            and CREDENTIAL.fullmatch(username) is not None
            and well_formed(password, "dev")
        )

    def check(self, username: str, password: str) -> Found:
        """From memory alone. A wrong password says no more than `connect.unknown`."""
        entry = self._directory.credentials.by_id.get(username)
        if (
            entry is None
            or not well_formed(password, "dev")
            or not self._hashing.verifies(password, entry.state.verifier)
        ):
            return Found(entry, "connect.unknown")
        if not self._directory.active(entry.organization):
            return Found(entry, "connect.revoked")
        return Found(entry, _REASONS.get(standing(entry.state, datetime.now(UTC))))

    def _api_key(self, secret: str) -> Entry[ApiKey] | None:
        verifier = self._hashing.verifier(secret)
        entry = self._directory.api_keys.by_id.get(self._directory.key_by_verifier.get(verifier, ""))
        return entry if entry is not None and self._hashing.verifies(secret, entry.state.verifier) else None
