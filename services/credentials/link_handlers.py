"""Commands on the links of integrations: paused, resumed, watched."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from contracts.calls import Call
from contracts.envelope import Event
from contracts.failures import Refused
from contracts.integrations import HOSTED, IntegrationView
from contracts.links import (
    PAUSE_INTEGRATION,
    RESUME_INTEGRATION,
    WATCH_INTEGRATION,
    IntegrationPaused,
    IntegrationResumed,
    IntegrationWatchChanged,
    PauseIntegration,
    ResumeIntegration,
    WatchIntegration,
)
from runtime.event_log import Append
from services.credentials import views
from services.credentials.commands import Commands, Draft
from services.credentials.handlers import Registry
from services.credentials.states.integration import Integration

Command = PauseIntegration | ResumeIntegration | WatchIntegration
CommandT = TypeVar("CommandT", PauseIntegration, ResumeIntegration, WatchIntegration)


def decide(command: Command, held: Integration) -> list[Event]:
    """Pure. Asking for what is so already gives no event."""
    match command:
        case _ if held.status != "active":
            raise Refused("not_found")
        case PauseIntegration():
            return [] if held.paused else [IntegrationPaused()]
        case ResumeIntegration():
            return [IntegrationResumed()] if held.paused else []
        case WatchIntegration(expected_interval_s=expected):
            return (
                []
                if held.expected_interval_s == expected
                else [IntegrationWatchChanged(expected_interval_s=expected)]
            )


class LinkHandlers:
    def __init__(self, commands: Commands, registry: Registry) -> None:
        self._commands, self._registry = commands, registry

    async def pause(self, request: PauseIntegration) -> IntegrationView:
        return await self._run(PAUSE_INTEGRATION, request)

    async def resume(self, request: ResumeIntegration) -> IntegrationView:
        return await self._run(RESUME_INTEGRATION, request)

    async def watch(self, request: WatchIntegration) -> IntegrationView:
        return await self._run(WATCH_INTEGRATION, request)

    async def _run(self, call: Call[CommandT, IntegrationView], request: CommandT) -> IntegrationView:
        if request.id == HOSTED:
            raise Refused("integration.hosted", "the hosted broker has no link of its own")

        async def decided(now: datetime) -> Draft[IntegrationView]:
            table = self._registry.directory.integrations
            subject, state, last, created_at = await self._registry.load(
                table, "integration", request.organization, request.id
            )
            events = decide(request, state)
            for event in events:
                state = state.evolve(event)
            answer = views.integration_view(request.id, created_at, state, now)
            return Draft(tuple(Append(subject, event, last) for event in events), answer)

        return await self._commands.run(call, request, decided)
