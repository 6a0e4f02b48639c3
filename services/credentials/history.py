"""Who could publish where at a time, and who changed it: read from the registry itself."""

from __future__ import annotations

from datetime import datetime

from contracts.credentials import CredentialAsOf, CredentialHistory, GetHistory, HistoryEntry
from contracts.envelope import Recorded
from services.credentials.handlers import Registry
from services.credentials.queries import cursor_after, position
from services.credentials.states.credential import Credential
from services.credentials.views import standing

# What verifies a secret is nobody's business.
HIDDEN = {"verifier", "broker_verifier"}


class Histories:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def credential(self, request: GetHistory) -> CredentialHistory:
        table = self._registry.directory.credentials
        _, events = await self._registry.events(table, "credential", request.organization, request.id)
        if request.at is not None:
            events = [recorded for recorded in events if recorded.time <= request.at]
        start = position(request.cursor)
        later = [recorded for recorded in events if recorded.sequence > start]
        page = later[: request.limit]
        return CredentialHistory(
            items=[_entry(recorded) for recorded in page],
            next_cursor=cursor_after(page[-1].sequence) if len(page) < len(later) else None,
            as_of=as_of(events, request.at) if request.at is not None and events else None,
        )


def as_of(events: list[Recorded], at: datetime) -> CredentialAsOf:
    """The credential as these events left it, looked at then."""
    state = Credential()
    for recorded in events:
        state = state.evolve(recorded.event)
    hints = [state.hint]
    if state.previous is not None and state.previous.until > at:
        hints.append(state.previous.hint)
    held = standing(state, at)
    return CredentialAsOf(
        time=at,
        state=held,
        name=state.name,
        device_id=state.device_id,
        publish=state.publish,
        subscribe=state.subscribe,
        expires_at=state.expires_at,
        hints=tuple(hints) if held == "active" else (),
    )


def _entry(recorded: Recorded) -> HistoryEntry:
    return HistoryEntry(
        sequence=recorded.sequence,
        time=recorded.time,
        type=recorded.event.type,
        actor=recorded.actor,
        data=recorded.event.model_dump(mode="json", exclude=HIDDEN),
    )
