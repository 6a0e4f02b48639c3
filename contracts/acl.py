"""What a credential's filters allow, as NATS permissions and for a single topic.

Below `devices`, a publish needs a level behind the device (`org_x/devices/d7/telemetry`): without it the
server acknowledges the message and no log takes it, so permissions leave such topics out.
"""

from __future__ import annotations

from collections.abc import Iterable

from contracts.topics import filter_to_subjects, matches

DEVICES = "devices"
_CHANNEL = 3  # the index of the level behind the device: organization / devices / device / channel


def publish_subjects(filters: Iterable[str]) -> tuple[str, ...]:
    """NATS subjects that together allow publishing to what these filters match, and no more."""
    return _distinct(subject for filter in filters for subject in _publish_subjects(filter))


def subscribe_subjects(filters: Iterable[str]) -> tuple[str, ...]:
    """NATS subjects that together allow subscribing to these filters."""
    return _distinct(subject for filter in filters for subject in filter_to_subjects(filter))


def may_publish(filters: Iterable[str], topic: str) -> bool:
    """Whether one of the filters lets this topic be published to."""
    levels = topic.split("/")
    if levels[1:2] == [DEVICES] and len(levels) <= _CHANNEL:
        return False
    return any(matches(filter, topic) for filter in filters)


def _publish_subjects(filter: str) -> tuple[str, ...]:
    levels = filter.split("/")
    if levels[1:2] != [DEVICES]:
        return filter_to_subjects(filter)
    if levels[-1] != "#":
        return filter_to_subjects(filter) if len(levels) > _CHANNEL else ()
    below, *parent = filter_to_subjects(filter)
    if len(levels) <= 3:  # `org/devices/#` includes the device's own level: ask for one more
        return (below.removesuffix(">") + "*.>",)
    # the parent of `org/devices/d7/#` is the device itself
    return (below,) if len(levels) == _CHANNEL + 1 else (below, *parent)


def _distinct(subjects: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(subjects))
