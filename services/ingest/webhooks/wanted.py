"""Which webhooks there are to be, as the REGISTRY says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from contracts import subjects
from contracts.envelope import Recorded
from contracts.organizations import OrganizationDeleted
from contracts.subjects import HOSTED, HTTP, entity
from contracts.webhook_deliveries import Source
from contracts.webhooks import (
    MESSAGE,
    WebhookChanged,
    WebhookCreated,
    WebhookDeleted,
    WebhookPaused,
    WebhookResumed,
    WebhookSecretRotated,
    WebhookSettings,
)
from services.ingest.links import Key


@dataclass(frozen=True, slots=True)
class Wanted:
    """A webhook as it is to be. `resumed` is the sequence of its last resumption."""

    key: Key
    settings: WebhookSettings
    secrets: dict[str, str]  # field → reference
    since: Mapping[Source, datetime]  # what was stored earlier is not for it
    revision: int
    previous_until: datetime | None = None
    paused: bool = False
    resumed: int = 0

    def holding(self, now: datetime) -> dict[str, str]:
        """References to the secrets that are used now."""
        over = self.previous_until is None or self.previous_until <= now
        return {name: ref for name, ref in self.secrets.items() if name != "previous" or not over}


Webhooks = dict[Key, Wanted]


def evolve(webhooks: Webhooks, recorded: Recorded) -> None:
    """Takes one event in."""
    named = entity(recorded.subject)
    key = Key(named.organization, named.id)
    held = webhooks.get(key)
    match recorded.event:
        case WebhookCreated() as event:
            since = dict.fromkeys(sources(key.organization, event.settings), recorded.time)
            webhooks[key] = Wanted(key, event.settings, dict(event.secrets), since, recorded.sequence)
        case WebhookDeleted():
            webhooks.pop(key, None)
        case OrganizationDeleted():
            for gone in [each for each in webhooks if each.organization == named.organization]:
                del webhooks[gone]
        case event if held is not None:
            webhooks[key] = replace(_changed(held, recorded), revision=recorded.sequence)


def _changed(held: Wanted, recorded: Recorded) -> Wanted:
    match recorded.event:
        case WebhookChanged(settings=settings, secrets=secrets):
            wanted = sources(held.key.organization, settings)
            since = {source: held.since.get(source, recorded.time) for source in wanted}
            return replace(held, settings=settings, secrets=dict(secrets), since=since)
        case WebhookSecretRotated(secrets=secrets, previous_until=until):
            return replace(held, secrets=dict(secrets), previous_until=until)
        case WebhookPaused():
            return replace(held, paused=True)
        case WebhookResumed(skip_backlog=skip):
            begin = dict.fromkeys(held.since, recorded.time) if skip else held.since
            return replace(held, paused=False, resumed=recorded.sequence, since=begin)
        case _:
            return held


def sources(organization: str, settings: WebhookSettings) -> dict[Source, tuple[str, ...]]:
    """The logs that it reads, each with its filters."""
    found: dict[Source, tuple[str, ...]] = {}
    if MESSAGE in settings.events:
        found["MESSAGES"] = _messages(organization, settings.integration_id)
    kinds = [kind for kind in settings.events if kind != MESSAGE]
    if any(kind == "*" or kind.startswith("alert.") for kind in kinds):
        found["ALERTS"] = (subjects.alert(organization, "*"),)
    if rest := [kind for kind in kinds if not kind.startswith("alert.")]:
        exact = not any("*" in kind for kind in rest)
        found["ACTIVITY"] = tuple(subjects.activity(organization, kind) for kind in rest if exact) or (
            subjects.activity(organization, "*"),
        )
    return found


def _messages(organization: str, integration: str | None) -> tuple[str, ...]:
    if integration is None:
        return subjects.messages_of(organization)
    if integration in (HOSTED, HTTP):
        own = subjects.messages_of_source(organization, HTTP)
        return (subjects.hosted_messages_of(organization), own)
    return (subjects.messages_of_source(organization, integration),)
