"""Commands on a credential's certificate."""

from __future__ import annotations

from datetime import datetime

from contracts.calls import Nothing
from contracts.certificates import BIND_CERTIFICATE, UNBIND_CERTIFICATE, BindCertificate, UnbindCertificate
from contracts.credentials import CredentialView
from runtime.event_log import Append
from services.credentials import views
from services.credentials.certificates import decide_certificate
from services.credentials.commands import Commands, Draft
from services.credentials.handlers import Registry
from services.credentials.last_use import LastUse


class CertificateHandlers:
    def __init__(self, commands: Commands, registry: Registry, last_use: LastUse) -> None:
        self._commands, self._registry, self._last_use = commands, registry, last_use

    async def bind(self, request: BindCertificate) -> CredentialView:
        async def decide(now: datetime) -> Draft[CredentialView]:
            return await self._draft(request, now)

        return await self._commands.run(BIND_CERTIFICATE, request, decide)

    async def unbind(self, request: UnbindCertificate) -> Nothing:
        async def decide(now: datetime) -> Draft[Nothing]:
            return Draft((await self._draft(request, now)).appends, Nothing())

        return await self._commands.run(UNBIND_CERTIFICATE, request, decide)

    async def _draft(
        self, request: BindCertificate | UnbindCertificate, now: datetime
    ) -> Draft[CredentialView]:
        subject, state, last, created_at = await self._registry.load(
            self._registry.directory.credentials, "credential", request.organization, request.id
        )
        events = decide_certificate(request, state, now)
        for event in events:
            state = state.evolve(event)
        view = views.credential_view(request.organization, request.id, created_at, state, now, self._last_use)
        return Draft(tuple(Append(subject, event, last) for event in events), view)
