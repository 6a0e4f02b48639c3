"""Whose secret is this? The same answer for API keys, the admin key and devices, however they come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import SecretStr

from contracts.credentials import AuthenticateDevice
from contracts.failures import Refused
from contracts.organizations import PLATFORM, Authenticate, Principal
from contracts.secrets_format import well_formed
from services.credentials.chosen import SCHEME as CHOSEN
from services.credentials.chosen import ChosenPasswords
from services.credentials.directory import Directory, Entry
from services.credentials.filters import expanded
from services.credentials.hashing import Hashing
from services.credentials.ids import ADMIN_KEY, CREDENTIAL, IMPORTED
from services.credentials.last_use import LastUse
from services.credentials.states.credential import Credential
from services.credentials.states.keys import AdminKey, ApiKey
from services.credentials.views import standing

REASONS = {"revoked": "connect.revoked", "expired": "connect.expired"}


class Found(NamedTuple):
    """`entry` also where the password is wrong: the tenant should know of it. `refused` is a failure code."""

    entry: Entry[Credential] | None
    refused: str | None
    number: int = 0  # of the secret that it was
    until: datetime | None = None  # when this secret ends


def _chosen(state: Credential) -> list[str]:
    """Those of its verifiers that take their time."""
    held = [state.verifier] + ([state.previous.verifier] if state.previous is not None else [])
    return [verifier for verifier in held if verifier.startswith(CHOSEN)]


class Authentication:
    def __init__(
        self, directory: Directory, hashing: Hashing, admin_key: SecretStr, last_use: LastUse
    ) -> None:
        self._directory, self._hashing, self._last_use = directory, hashing, last_use
        self._chosen = ChosenPasswords(hashing)
        self._admin = hashing.verifier(admin_key.get_secret_value())

    async def key(self, request: Authenticate) -> Principal:
        """Refused("key.invalid") whatever the reason: unknown, revoked, expired."""
        secret = request.secret
        if well_formed(secret, "admin"):
            return await self._operator(self._hashing.verifier(secret))
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
        self._last_use.note(entry.organization, entry.id)
        return Principal(
            organization=entry.organization,
            actor=f"key:{entry.id}",
            scopes=entry.state.scopes,
            expires_at=entry.state.expires_at,
        )

    async def _operator(self, verifier: str) -> Principal:
        """Another replica may have rotated the key a moment ago."""
        if not self._admin_key_holds(verifier):
            await self._directory.catch_up()
        if not self._admin_key_holds(verifier):
            raise Refused("key.invalid")
        return Principal(organization=PLATFORM, actor="admin", scopes=("admin",))

    def _admin_key_holds(self, verifier: str) -> bool:
        entry = self._directory.admin_keys.by_id.get(ADMIN_KEY)
        held = entry.state if entry is not None else AdminKey()
        return held.holds(verifier, self._admin, datetime.now(UTC))

    async def device(self, request: AuthenticateDevice) -> Principal:
        """A device's credential over HTTP; refused with the same codes as at an MQTT connect."""
        if self.may_be_new(request.username, request.password):
            await self.prepare(request.username, request.password)
        found = self.check(request.username, request.password)
        entry = found.entry
        if found.refused is not None or entry is None:
            raise Refused(found.refused or "connect.unknown")
        self.used(found)
        return Principal(
            organization=entry.organization,
            actor=f"device:{entry.id}",
            scopes=("publish",),
            expires_at=found.until,
            publish=expanded(entry.state.publish, entry.state.device_id, entry.state.client_id),
            device_id=entry.state.device_id,
        )

    def used(self, found: Found, client_id: str | None = None) -> None:
        """To be called for what was let in: lists show when a secret was last used."""
        assert found.entry is not None
        self._last_use.note(found.entry.organization, found.entry.id, found.number, client_id)

    async def catch_up(self) -> None:
        """Afterwards `check` knows whatever any replica had issued before. Raises Unavailable."""
        await self._directory.catch_up()

    def may_be_new(self, username: str, password: str) -> bool:
        """Whether `prepare` may learn more: of what another replica issued a moment ago, of a chosen password."""
        if IMPORTED.fullmatch(username) is not None:
            entry = self.entry(username)
            return entry is None or any(
                self._chosen.known(password, verifier) is None for verifier in _chosen(entry.state)
            )
        return (
            username not in self._directory.credentials.by_id
            and CREDENTIAL.fullmatch(username) is not None
            and well_formed(password, "dev")
        )

    async def prepare(self, username: str, password: str) -> None:
        """Afterwards `check` knows. Raises Unavailable."""
        entry = self.entry(username)
        if entry is None:
            await self._directory.catch_up()
            entry = self.entry(username)
        if entry is not None and standing(entry.state, datetime.now(UTC)) == "active":
            for verifier in _chosen(entry.state):
                await self._chosen.find_out(password, verifier)

    def entry(self, username: str) -> Entry[Credential] | None:
        """The credential that goes by this user name: its id, or the imported one."""
        id = self._directory.credential_by_username.get(username, username)
        return self._directory.credentials.by_id.get(id)

    def _matches(self, password: str, verifier: str) -> bool:
        if verifier.startswith(CHOSEN):
            return self._chosen.known(password, verifier) is True
        return well_formed(password, "dev") and self._hashing.verifies(password, verifier)

    def check(self, username: str, password: str) -> Found:
        """From memory alone. A wrong password says no more than `connect.unknown`."""
        entry = self.entry(username)
        if entry is None:
            return Found(entry, "connect.unknown")
        state, now = entry.state, datetime.now(UTC)
        number, until = state.number, state.expires_at
        if not self._matches(password, state.verifier):
            previous = state.previous
            if previous is None or previous.until <= now or not self._matches(password, previous.verifier):
                return Found(entry, "connect.unknown")
            number, until = number - 1, min(previous.until, until or previous.until)
        if not self._directory.active(entry.organization):
            return Found(entry, "connect.revoked")
        return Found(entry, REASONS.get(standing(state, now)), number, until)

    def _api_key(self, secret: str) -> Entry[ApiKey] | None:
        verifier = self._hashing.verifier(secret)
        entry = self._directory.api_keys.by_id.get(self._directory.key_by_verifier.get(verifier, ""))
        return entry if entry is not None and self._hashing.verifies(secret, entry.state.verifier) else None
