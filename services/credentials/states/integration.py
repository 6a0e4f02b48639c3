"""Integrations: the brokers of an organization, and how their messages are read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import TopicFilter
from contracts.envelope import Event
from contracts.integrations import (
    DecoderChoice,
    HostedIntegrationChanged,
    IntegrationChanged,
    IntegrationCreated,
    IntegrationDeleted,
)
from contracts.links import IntegrationPaused, IntegrationResumed, IntegrationWatchChanged
from contracts.redecode import RedecodeEnded, RedecodeOrdered, RetryOrdered
from services.credentials.states.base import Status

STANDARD = DecoderChoice()


@dataclass(frozen=True, slots=True)
class Integration:
    status: Status = "absent"
    name: str = ""
    settings: BrokerSettings | None = None
    topics: tuple[TopicFilter, ...] = ()
    decoder: DecoderChoice = STANDARD
    secrets: tuple[tuple[str, str], ...] = ()  # field, reference
    paused: bool = False
    expected_interval_s: float | None = None

    def evolve(self, event: Event) -> Integration:
        match event:
            case IntegrationCreated() | IntegrationChanged():
                return replace(
                    self,
                    status="active",
                    name=event.name,
                    settings=event.settings,
                    topics=event.topics,
                    decoder=event.decoder,
                    secrets=tuple(sorted(event.secrets.items())),
                )
            case IntegrationPaused() | IntegrationResumed():
                return replace(self, paused=isinstance(event, IntegrationPaused))
            case IntegrationWatchChanged(expected_interval_s=expected):
                return replace(self, expected_interval_s=expected)
            case IntegrationDeleted():
                return replace(self, status="ended", secrets=())
            case _:
                return self


@dataclass(frozen=True, slots=True)
class HostedIntegration:
    """The one that every organization has from its beginning: until it is changed, there is no event of it."""

    name: str = "Hosted broker"
    decoder: DecoderChoice = STANDARD

    def evolve(self, event: Event) -> HostedIntegration:
        if isinstance(event, HostedIntegrationChanged):
            return HostedIntegration(event.name, event.decoder)
        return self


@dataclass(frozen=True, slots=True)
class Redecode:
    status: Status = "absent"
    retry: bool = False  # of a few messages alone

    def evolve(self, event: Event) -> Redecode:
        match event:
            case RedecodeOrdered() | RetryOrdered():
                return Redecode("active", retry=isinstance(event, RetryOrdered))
            case RedecodeEnded():
                return Redecode("ended")
            case _:
                return self
