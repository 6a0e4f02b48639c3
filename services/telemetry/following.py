"""Which projections there are: those that follow the logs, and the same anew for a rebuild."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from services.telemetry.activity import ActivityProjection
from services.telemetry.alerting.projection import ALERTS_READ
from services.telemetry.by_organization import ByOrganization
from services.telemetry.commands import COMMANDS_READ
from services.telemetry.dead_letter_notes import DeadLetterNotes
from services.telemetry.dead_letter_projection import DeadLettersProjection
from services.telemetry.dead_letters import DeadLetters
from services.telemetry.device_settings import DeviceSettingsProjection
from services.telemetry.device_sources import DeviceSources
from services.telemetry.directory import Directory
from services.telemetry.entities import EntityProjection
from services.telemetry.followers import Follower
from services.telemetry.messages import MessagesProjection
from services.telemetry.partitions import Partitions
from services.telemetry.parts import Parts
from services.telemetry.projector import Projection, Projector
from services.telemetry.rereading import NoDeadLetters
from services.telemetry.rollups.marks import Marks
from services.telemetry.shadow import ShadowDictionaries
from services.telemetry.stats.of_activity import ActivityCounts
from services.telemetry.stats.of_messages import MessageCounts

FOR_EVER = 36_500  # days: so long the registry is kept
BatchT = TypeVar("BatchT")


@dataclass(frozen=True)
class Followed:
    """The projectors at work. `rebuilt` are those that a rebuild makes anew, by name."""

    messages: Projector[Any]
    activity: Projector[Any]
    commands: Projector[Any]
    dead_letters: Projector[Any]
    alerts: Projector[Any]
    devices: Projector[Any]

    @property
    def rebuilt(self) -> dict[str, Projector[Any]]:
        return {
            "messages": self.messages,
            "activity": self.activity,
            "commands": self.commands,
            "dead-letters": self.dead_letters,
            "alerts": self.alerts,
        }


def follow(parts: Parts) -> Followed:
    """Starts them, each with its health."""
    settings, directory, alerting = parts.settings, parts.directory, parts.alerting
    followers: list[Follower[Any]] = [DeviceSources(), Marks(), MessageCounts(), alerting.messages]
    if settings.metrics_by_organization:
        followers.append(ByOrganization())
    messages = Projector(
        parts.bus.client,
        parts.pool,
        MessagesProjection(directory, DeadLetters(parts.letters), Partitions(), followers=followers),
        parts.happened,
        batch_messages_max=settings.batch_messages_max,
        batch_bytes_max=settings.batch_bytes_max,
        linger_messages=settings.linger_messages,
        linger_s=settings.linger_s,
        days_kept=settings.messages_days,
    )
    counted = (ActivityCounts(directory.erased), alerting.activity)
    told = DeadLetterNotes(parts.notes)
    parts.service.task(told.run(), "dead letters noted")
    followed = Followed(
        messages,
        _projector(
            parts, ActivityProjection(Partitions(), directory, followers=counted), settings.activity_days
        ),
        _projector(parts, EntityProjection(COMMANDS_READ, directory), settings.commands_days),
        _projector(
            parts, DeadLettersProjection(Partitions(), directory, told=told.note), settings.dead_letters_days
        ),
        _projector(parts, EntityProjection(ALERTS_READ, directory), settings.alerts_days),
        _projector(parts, DeviceSettingsProjection(), FOR_EVER),
    )
    alerting.messages.reads(followed.messages)
    alerting.activity.reads(followed.activity)
    for name, projector in {**followed.rebuilt, "devices": followed.devices}.items():
        parts.service.task(projector.run(), name)
        parts.service.health.add(name, _trouble_of(projector))
    return followed


def anew(directory: Directory) -> dict[str, Projection[Any]]:
    """What a rebuild reads the logs by, from their beginning, into tables beside those in use."""
    return {
        "messages": MessagesProjection(
            directory,
            NoDeadLetters(),
            Partitions(),
            ShadowDictionaries(),
            again=True,
            followers=(DeviceSources(), MessageCounts()),
        ),
        "activity": ActivityProjection(
            Partitions(), directory, ShadowDictionaries(), followers=(ActivityCounts(directory.erased),)
        ),
        "commands": EntityProjection(COMMANDS_READ, directory),
        "dead-letters": DeadLettersProjection(Partitions(), directory),
        "alerts": EntityProjection(ALERTS_READ, directory),
    }


def _projector(parts: Parts, projection: Projection[BatchT], days_kept: int) -> Projector[BatchT]:
    return Projector(parts.bus.client, parts.pool, projection, parts.happened, days_kept=days_kept)


def _trouble_of(projector: Projector[Any]) -> Callable[[], str | None]:
    return lambda: projector.trouble
