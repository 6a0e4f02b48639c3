"""Which traces are kept: as the operator says (`OTEL_TRACES_SAMPLER`), and every batch that works on a kept one.

A batch has a trace of its own and links to those of its messages. By itself it would be missing from most traces
that somebody asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes


class LinksCount(Sampler):
    """A span without a parent is kept where one that it links to is; all else is the other sampler's business."""

    def __init__(self, otherwise: Sampler) -> None:
        self._otherwise = otherwise

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        parent = get_current_span(parent_context).get_span_context()
        kept = not parent.is_valid and any(link.context.trace_flags.sampled for link in links or ())
        chosen = ALWAYS_ON if kept else self._otherwise
        return chosen.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return f"LinksCount({self._otherwise.get_description()})"


def sampler() -> Sampler:
    """What the environment asks for, and batches."""
    return LinksCount(TracerProvider(shutdown_on_exit=False).sampler)
