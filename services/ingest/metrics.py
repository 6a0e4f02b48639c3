"""What ingest counts. No tenant is in a label: that would be unbounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from opentelemetry.metrics import CallbackOptions, Observation

from runtime.observe import meter

messages_in = meter.create_counter("hybridmq.ingest.messages", description="Device messages taken, by source")
bytes_in = meter.create_counter("hybridmq.ingest.bytes", unit="By", description="Their payloads")
duplicates = meter.create_counter("hybridmq.ingest.duplicates", description="Redelivered copies recognised")
dropped = meter.create_counter("hybridmq.ingest.dropped", description="Messages not stored, by reason")
published = meter.create_counter("hybridmq.ingest.published", description="Published out, by outcome")

link_states: Counter[str] = Counter()


def _observe_links(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(count, {"state": state}) for state, count in link_states.items()]


meter.create_observable_gauge("hybridmq.ingest.links", [_observe_links], description="Links, by state")
