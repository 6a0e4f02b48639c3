"""Which links are to be there, as the REGISTRY says. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import DEFAULT_TOPICS, TopicFilter
from contracts.decoders import DEFAULT
from contracts.envelope import Recorded
from contracts.integrations import IntegrationChanged, IntegrationCreated, IntegrationDeleted
from contracts.links import IntegrationPaused, IntegrationResumed, IntegrationWatchChanged
from contracts.organizations import OrganizationDeleted
from contracts.subjects import HOSTED, Entity, entity


class Key(NamedTuple):
    organization: str
    integration: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A link as it is to be."""

    key: Key
    settings: BrokerSettings
    topics: tuple[TopicFilter, ...]
    secrets: dict[str, str] = field(default_factory=dict)  # field → reference
    revision: int = 0  # the event's sequence: a changed password may have the same reference
    formerly: frozenset[str] = frozenset()  # filters that the session at the broker may still have
    paused: bool = False
    expected_interval_s: float | None = None
    decoder: str = DEFAULT

    @property
    def client_id(self) -> str:
        """Stable: the broker keeps the session by it."""
        return self.settings.fixed_client_id or self.key.integration

    def same_connection(self, other: Wanted) -> bool:
        """Whether a connection made for `other` serves this one too."""
        return (self.settings, self.secrets) == (other.settings, other.secrets)


Links = dict[Key, Wanted]


def evolve(links: Links, recorded: Recorded) -> Key | None:
    """Takes one event in; the link that it concerns, None for a whole organization or nothing of ours."""
    named: Entity = entity(recorded.subject)
    key = Key(named.organization, named.id)
    match recorded.event:
        case IntegrationCreated() | IntegrationChanged() as event if named.id != HOSTED:
            links[key] = _wanted(key, event, recorded.sequence, links.get(key))
            return key
        case IntegrationPaused() | IntegrationResumed() | IntegrationWatchChanged() as event if key in links:
            links[key] = _switched(links[key], event, recorded.sequence)
            return key
        case IntegrationDeleted():
            links.pop(key, None)
            return key
        case OrganizationDeleted():
            for gone in [held for held in links if held.organization == named.organization]:
                del links[gone]
    return None


def _wanted(
    key: Key, event: IntegrationCreated | IntegrationChanged, sequence: int, before: Wanted | None
) -> Wanted:
    topics = event.topics or DEFAULT_TOPICS
    wanted = Wanted(key, event.settings, topics, dict(event.secrets), sequence, decoder=event.decoder.name)
    if before is None:
        return wanted
    formerly = before.formerly | {topic.filter for topic in before.topics}
    return replace(
        wanted,
        formerly=formerly - {topic.filter for topic in topics},
        paused=before.paused,
        expected_interval_s=before.expected_interval_s,
    )


def _switched(
    held: Wanted, event: IntegrationPaused | IntegrationResumed | IntegrationWatchChanged, sequence: int
) -> Wanted:
    match event:
        case IntegrationWatchChanged(expected_interval_s=expected):
            return replace(held, expected_interval_s=expected, revision=sequence)
        case _:
            return replace(held, paused=isinstance(event, IntegrationPaused), revision=sequence)
