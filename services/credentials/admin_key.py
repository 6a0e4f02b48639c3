"""The operator's key, replaced by a command; before the first one it is the configured one."""

from __future__ import annotations

from datetime import datetime

from pydantic import SecretStr

from contracts import subjects
from contracts.organizations import (
    PLATFORM,
    ROTATE_ADMIN_KEY,
    AdminKeyRotated,
    AdminKeySecret,
    RotateAdminKey,
)
from runtime.event_log import Append
from services.credentials.commands import Commands, Draft
from services.credentials.handlers import Registry, platform_only
from services.credentials.hashing import Hashing
from services.credentials.ids import ADMIN_KEY
from services.credentials.lifecycle import decide_admin_key
from services.credentials.states.keys import AdminKey


class AdminKeyHandlers:
    def __init__(
        self, commands: Commands, registry: Registry, hashing: Hashing, configured: SecretStr
    ) -> None:
        self._commands, self._registry, self._hashing = commands, registry, hashing
        self._configured = hashing.verifier(configured.get_secret_value())

    async def rotate(self, request: RotateAdminKey) -> AdminKeySecret:
        """The new key, this once."""
        platform_only(request)

        async def decide(now: datetime) -> Draft[AdminKeySecret]:
            secret, kept = self._hashing.mint("admin")
            held, last = await self._held()
            [event] = decide_admin_key(request, held, self._configured, now, kept)
            assert isinstance(event, AdminKeyRotated)
            answer = AdminKeySecret(secret=secret, hint=kept.hint, previous_until=event.replaced_until)
            subject = subjects.registry(PLATFORM, "admin-key", ADMIN_KEY)
            return Draft((Append(subject, event, last),), answer)

        return await self._commands.run(ROTATE_ADMIN_KEY, request, decide)

    async def _held(self) -> tuple[AdminKey, int]:
        """The state and its last sequence; nothing and 0 before the first rotation."""
        table = self._registry.directory.admin_keys
        await self._registry.directory.catch_up()
        if table.get(PLATFORM, ADMIN_KEY) is None:
            return table.empty, 0
        _, state, last, _ = await self._registry.load(table, "admin-key", PLATFORM, ADMIN_KEY)
        return state, last
