"""What ingest counts. No tenant is in a label: that would be unbounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from opentelemetry.metrics import CallbackOptions, Observation

from contracts.links import LinkState
from runtime.observe import from_zero, meter


@dataclass(slots=True)
class Taken:
    """Plain numbers: adding to a counter costs more than taking a message."""

    messages: int = 0
    bytes: int = 0


hosted, links = Taken(), Taken()
_SOURCES = {"hosted-qos0": hosted, "link": links}


def _observe_messages(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(taken.messages, {"source": source}) for source, taken in _SOURCES.items()]


def _observe_bytes(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(taken.bytes, {"source": source}) for source, taken in _SOURCES.items()]


meter.create_observable_counter(
    "hybridmq.ingest.messages", [_observe_messages], description="Device messages taken, by source"
)
meter.create_observable_counter(
    "hybridmq.ingest.bytes", [_observe_bytes], unit="By", description="Their payloads"
)
duplicates = meter.create_counter("hybridmq.ingest.duplicates", description="Redelivered copies recognised")
dropped = meter.create_counter("hybridmq.ingest.dropped", description="Messages not stored, by reason")
replies = meter.create_counter("hybridmq.ingest.replies", description="Replies to devices, by outcome")
published = meter.create_counter("hybridmq.ingest.published", description="Published out, by outcome")
from_zero(duplicates)
for kind in ("hosted.dropped", "link.dropped"):
    from_zero(
        dropped,
        *(
            {"kind": kind, "reason": reason}
            for reason in ("log.unavailable", "payload.too_large", "topic.invalid")
        ),
    )
from_zero(dropped, {"kind": "hosted.overload", "reason": "log.unavailable"})
from_zero(replies, {"outcome": "sent"}, {"outcome": "dropped"})
from_zero(published, {"outcome": "ok"})

link_states: Counter[str] = Counter(dict.fromkeys(get_args(LinkState), 0))


def _observe_links(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(count, {"state": state}) for state, count in link_states.items()]


meter.create_observable_gauge("hybridmq.ingest.links", [_observe_links], description="Links, by state")
