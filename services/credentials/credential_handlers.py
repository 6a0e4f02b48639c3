"""Commands on a credential that is there: its name, its secret, its filters, its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from contracts.credentials import (
    CHANGE_ACL,
    CHANGE_EXPIRY,
    RENAME_CREDENTIAL,
    ROTATE_CREDENTIAL,
    ChangeAcl,
    ChangeExpiry,
    CredentialView,
    CredentialWithPassword,
    RenameCredential,
    RotateCredential,
)
from contracts.envelope import Event
from runtime.event_log import Append
from services.credentials import lifecycle, views
from services.credentials.commands import Commands, Draft
from services.credentials.handlers import Registry
from services.credentials.hashing import Hashing
from services.credentials.last_use import LastUse
from services.credentials.states.credential import Credential

Command = RenameCredential | RotateCredential | ChangeAcl | ChangeExpiry


class CredentialHandlers:
    def __init__(self, commands: Commands, registry: Registry, hashing: Hashing, last_use: LastUse) -> None:
        self._commands, self._registry = commands, registry
        self._hashing, self._last_use = hashing, last_use

    async def rename(self, request: RenameCredential) -> CredentialView:
        async def decide(now: datetime) -> Draft[CredentialView]:
            return await self._draft(request, now, lambda held: lifecycle.decide_rename(request, held))

        return await self._commands.run(RENAME_CREDENTIAL, request, decide)

    async def rotate(self, request: RotateCredential) -> CredentialWithPassword:
        """The new password, this once. Each call makes another: who repeats one sends its Idempotency-Key."""

        async def decide(now: datetime) -> Draft[CredentialWithPassword]:
            secret, kept = self._hashing.mint("dev")
            draft = await self._draft(
                request, now, lambda held: lifecycle.decide_rotation(request, held, now, kept)
            )
            answer = CredentialWithPassword(**draft.answer.model_dump(), password=secret)
            return Draft(draft.appends, answer)

        return await self._commands.run(ROTATE_CREDENTIAL, request, decide)

    async def change_acl(self, request: ChangeAcl) -> CredentialView:
        async def decide(now: datetime) -> Draft[CredentialView]:
            return await self._draft(request, now, lambda held: lifecycle.decide_acl(request, held, now))

        return await self._commands.run(CHANGE_ACL, request, decide)

    async def change_expiry(self, request: ChangeExpiry) -> CredentialView:
        async def decide(now: datetime) -> Draft[CredentialView]:
            return await self._draft(
                request, now, lambda held: lifecycle.decide_expiry_change(request, held, now)
            )

        return await self._commands.run(CHANGE_EXPIRY, request, decide)

    async def _draft(
        self, request: Command, now: datetime, decide: Callable[[Credential], list[Event]]
    ) -> Draft[CredentialView]:
        subject, state, last, created_at = await self._registry.load(
            self._registry.directory.credentials, "credential", request.organization, request.id
        )
        events = decide(state)
        for event in events:
            state = state.evolve(event)
        answer = views.credential_view(
            request.organization, request.id, created_at, state, now, self._last_use
        )
        return Draft(tuple(Append(subject, event, last) for event in events), answer)
