"""`/metrics`, as whoever asks reads it: Prometheus' text, or OpenMetrics, which alone has room for exemplars.

OpenTelemetry's exporter leaves exemplars out: its reader is asked for them here, and they are put beside the buckets
that it makes. An exemplar stays until a newer one of its bucket takes its place, as every Prometheus client has it.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import Histogram, MetricsData
from prometheus_client import REGISTRY, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Exemplar, Sample

Bucket = tuple[str, frozenset[tuple[str, str]], float]  # the histogram, its labels, the upper bound
_exemplars: dict[Bucket, Exemplar] = {}  # never more than there are buckets


class ScrapedReader(PrometheusMetricReader):
    """Keeps the exemplars of what it hands on."""

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        _exemplars.update(found(metrics_data))
        super()._receive_metrics(metrics_data, timeout_millis, **kwargs)


def found(data: MetricsData | None) -> Iterator[tuple[Bucket, Exemplar]]:
    """The exemplars of all durations, oldest first, by the bucket that each belongs to."""
    for resource in data.resource_metrics if data else ():
        for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
            if not isinstance(metric.data, Histogram) or metric.unit != "s":
                continue
            name = f"{metric.name.replace('.', '_')}_seconds"
            for point in metric.data.data_points:
                labels = _labels(point.attributes or {})
                bounds = (*point.explicit_bounds, float("inf"))
                for one in sorted(point.exemplars, key=lambda exemplar: exemplar.time_unix_nano):
                    if one.trace_id is not None and one.span_id is not None:
                        named = {"trace_id": f"{one.trace_id:032x}", "span_id": f"{one.span_id:016x}"}
                        bucket = (name, labels, bounds[bisect_left(bounds, one.value)])
                        yield bucket, Exemplar(named, one.value, one.time_unix_nano / 1e9)


def _labels(attributes: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """As the exporter writes them."""
    return frozenset(
        (name.replace(".", "_"), value if isinstance(value, str) else json.dumps(value))
        for name, value in attributes.items()
        if value != ""  # the exporter fills up what a series lacks with this
    )


class _WithExemplars:
    """The registry, as an encoder reads it."""

    def collect(self) -> Iterable[Metric]:
        for family in REGISTRY.collect():  # which asks the reader, and so for new exemplars
            if family.type == "histogram" and _exemplars:
                family.samples = [_with_exemplar(family.name, sample) for sample in family.samples]
            yield family


def _with_exemplar(histogram: str, sample: Sample) -> Sample:
    if not sample.name.endswith("_bucket"):
        return sample
    labels = frozenset(
        (name, value)
        for name, value in sample.labels.items()
        if value and name != "le" and not name.startswith("otel_scope_")
    )
    exemplar = _exemplars.get((histogram, labels, float(sample.labels["le"])))
    return sample if exemplar is None else sample._replace(exemplar=exemplar)


def exposition(accept: str) -> tuple[str, bytes]:
    """Content type and text, in the best form that an `Accept` header asks for."""
    encode, content_type = choose_encoder(accept)
    return content_type, encode(_WithExemplars())
