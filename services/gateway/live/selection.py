"""What a reader asks for, and whether a message passes."""

from __future__ import annotations

from typing import NamedTuple

from contracts.failures import Refused
from contracts.topics import check_filter, matches
from services.gateway.live.logs import ACTIVITY, KINDS, LOGS, Kind, Log
from services.gateway.problems import FieldError, Invalid

TOPICS_MAX = 20  # each is matched against each message
# Which kinds a filter narrows; it lets the others pass.
NARROWS: dict[str, frozenset[Kind]] = {
    "device_id": frozenset(KINDS),
    "metric": frozenset(("messages", "readings", "alerts")),
    "topic": frozenset(("messages", "readings", "presence")),
    "integration_id": frozenset(KINDS),
}


class Selection(NamedTuple):
    """Readers with equal ones share each event, written once."""

    kinds: frozenset[Kind] = frozenset(("messages",))
    devices: frozenset[str] = frozenset()  # any of them; empty: all
    metrics: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    integrations: frozenset[str] = frozenset()

    @property
    def logs(self) -> tuple[Log, ...]:
        """A presence that is narrowed to topics is a device's own word: the broker's has no topic."""
        found = (log for log in LOGS if log.kinds & self.kinds)
        return tuple(log for log in found if log is not ACTIVITY or self.wants_activity)

    @property
    def wants_activity(self) -> bool:
        return "activity" in self.kinds or self.hears_connections

    @property
    def hears_connections(self) -> bool:
        return "presence" in self.kinds and not self.topics

    def topic_passes(self, organization: str, topic: str) -> bool:
        """With the organization's prefix or without it."""
        if not self.topics:
            return True
        relative = topic.removeprefix(organization + "/")
        return any(matches(one, topic) or matches(one, relative) for one in self.topics)


def selection(
    kinds: tuple[str, ...] = (),
    *,
    device_id: tuple[str, ...] = (),
    metric: tuple[str, ...] = (),
    topic: tuple[str, ...] = (),
    integration_id: tuple[str, ...] = (),
) -> Selection:
    """Raises Invalid with every parameter that is wrong."""
    errors = [
        FieldError(field="kind", detail=f"there is no kind {kind!r}: there are {', '.join(KINDS)}")
        for kind in kinds
        if kind not in KINDS
    ]
    known: frozenset[Kind] = frozenset(kind for kind in KINDS if kind in kinds) or Selection().kinds
    given = {"device_id": device_id, "metric": metric, "topic": topic, "integration_id": integration_id}
    for name, narrowed in NARROWS.items():
        if given[name] and not errors and not narrowed & known:
            errors.append(FieldError(field=name, detail=f"it narrows {', '.join(sorted(narrowed))} only"))
    if len(topic) > TOPICS_MAX:
        errors.append(FieldError(field="topic", detail=f"it is given at most {TOPICS_MAX} times"))
    for one in topic[:TOPICS_MAX]:
        try:
            check_filter(one, hosted=False)
        except Refused as refused:
            errors.append(FieldError(field="topic", detail=refused.detail))
    if errors:
        raise Invalid(errors)
    return Selection(
        known, frozenset(device_id), frozenset(metric), frozenset(topic), frozenset(integration_id)
    )
