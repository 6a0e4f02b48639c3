"""Limits set by command, and shown with their current use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from contracts.calls import RequestT
from contracts.failures import Refused
from contracts.limits import (
    CHANGE_CREDENTIAL_LIMITS,
    CHANGE_ORGANIZATION_LIMITS,
    HELD,
    ChangeCredentialLimits,
    ChangeOrganizationLimits,
    CredentialLimitsChanged,
    GetLimits,
    Holder,
    LimitName,
    Limits,
    LimitsView,
    LimitUse,
    OrganizationLimitsChanged,
)
from contracts.organizations import PLATFORM, Principal
from runtime.event_log import Append
from services.credentials.commands import Commands, Draft
from services.credentials.handlers import Registry, platform_only
from services.credentials.limiting import Limiter
from services.credentials.meter import Use


class LimitHandlers:
    """Handlers of the calls."""

    def __init__(self, commands: Commands, registry: Registry, limiter: Limiter) -> None:
        self._commands, self._registry = commands, registry
        self._limiter = limiter
        self._directory = registry.directory

    async def change_organization(self, request: ChangeOrganizationLimits) -> LimitsView:
        platform_only(request)

        async def decide(_: datetime) -> Draft[LimitsView]:
            subject, state, last, _created = await self._registry.load(
                self._directory.organizations, "organization", request.id, request.id
            )
            if state.status == "ended":
                raise Refused("organization.deleted")
            changed = OrganizationLimitsChanged(limits=request.limits)
            appends = () if state.limits == request.limits else (Append(subject, changed, last),)
            return Draft(appends, self._of_organization(request.id, request.limits))

        return await self._commands.run(CHANGE_ORGANIZATION_LIMITS, request, decide)

    async def change_credential(self, request: ChangeCredentialLimits) -> LimitsView:
        async def decide(_: datetime) -> Draft[LimitsView]:
            subject, state, last, _created = await self._registry.load(
                self._directory.credentials, "credential", request.organization, request.id
            )
            if state.status == "ended":
                raise Refused("credential.revoked")
            changed = CredentialLimitsChanged(limits=request.limits)
            appends = () if state.limits == request.limits else (Append(subject, changed, last),)
            return Draft(appends, self._of_credential(request.id, request.limits))

        return await self._commands.run(CHANGE_CREDENTIAL_LIMITS, request, decide)

    def told_to(
        self, authenticate: Callable[[RequestT], Awaitable[Principal]]
    ) -> Callable[[RequestT], Awaitable[Principal]]:
        """The same answer, with the limits of who it is."""

        async def answer(request: RequestT) -> Principal:
            principal = await authenticate(request)
            if principal.organization == PLATFORM:
                return principal
            kind, _, id = principal.actor.partition(":")
            own = self._limiter.credential(id) if kind == "device" else None
            limits = self._limiter.organization(principal.organization)
            return principal.model_copy(update={"limits": limits, "own_limits": own})

        return answer

    async def get(self, request: GetLimits) -> LimitsView:
        if request.credential is not None:
            credential = self._directory.credentials.get(request.organization, request.credential)
            if credential is None:
                raise Refused("not_found")
            return self._of_credential(credential.id, credential.state.limits)
        organization = self._directory.organizations.by_id.get(request.organization)
        return self._of_organization(
            request.organization, organization.state.limits if organization else Limits()
        )

    def _of_organization(self, id: str, own: Limits) -> LimitsView:
        limits = own.over(self._limiter.defaults.organization)
        use = self._limiter.meter.organizations.get(id, Use())
        return self._view(limits, use, self._limiter.census.by_organization.get(id, 0))

    def _of_credential(self, id: str, own: Limits) -> LimitsView:
        limits = own.over(self._limiter.defaults.credential)
        use = self._limiter.meter.credentials.get(id, Use())
        # A stored message does not tell its credential, so no dead letter can be made by its limit.
        return self._view(limits, use, self._limiter.census.connections(id), without="dead_letter")

    def _view(
        self, limits: Limits, use: Use, connections: int, *, without: Holder | None = None
    ) -> LimitsView:
        current: dict[LimitName, float | None] = {
            "connections": connections,
            "messages_per_s": round(use.messages_per_s, 1),
            "bytes_per_s": round(use.bytes_per_s, 1),
            "subscriptions": use.subscriptions,
            "payload_bytes": None,
        }
        items = tuple(
            LimitUse(
                limit=name,
                allowed=getattr(limits, name),
                current=value,
                held=tuple(holder for holder in HELD[name] if holder != without),
            )
            for name, value in current.items()
        )
        return LimitsView(items=items, measured_at=self._limiter.measured_at)
