"""One trace from the HTTP call, or from the MQTT message, to the row in PostgreSQL, read off the wire (OTLP)."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from deploy.local.ports import LOOPBACK
from tests.conftest import MakeMosquitto, MakeStack
from tests.support.eventually import eventually_now
from tests.support.prometheus import Prometheus, needs_prometheus, targets
from tests.support.tenant import Tenant

pytestmark = pytest.mark.system


class Collector:
    """Takes what the services export, and keeps (service, span name, trace id, linked trace ids)."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str, str, set[str]]] = []
        self.exemplars: set[tuple[str, str]] = set()  # metric, trace id
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                if self.path.endswith("/v1/metrics"):
                    collector.take_metrics(ExportMetricsServiceRequest.FromString(body))
                else:
                    collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Not a line a request."""

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    links = {link.trace_id.hex() for link in span.links}
                    self.spans.append((names["service.name"], span.name, span.trace_id.hex(), links))

    def take_metrics(self, request: ExportMetricsServiceRequest) -> None:
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.histogram.data_points:
                        for exemplar in point.exemplars:
                            self.exemplars.add((metric.name, exemplar.trace_id.hex()))

    def of(self, trace: str) -> set[tuple[str, str]]:
        """(service, span) of all spans that belong to a trace, or to a batch that links to it."""
        batches = {t for _, _, t, links in self.spans if trace in links}
        return {(service, name) for service, name, t, _ in self.spans if t == trace or t in batches}

    def services(self, trace: str) -> set[str]:
        return {service.removeprefix("hybridmq-") for service, _ in self.of(trace)}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()


@pytest.fixture(scope="module")
def traced(make_stack: MakeStack, collector: Collector) -> Iterator[Tenant]:
    endpoint = f"http://{LOOPBACK}:{collector.server.server_address[1]}"
    platform = make_stack(
        extra_environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{endpoint}/v1/metrics",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            # As the manifests have it, but none at all: only who asks for a trace gets one.
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0",
        },
    )
    tenant = Tenant(platform)
    yield tenant
    tenant.close()
    platform.stop()


def traceparent(trace: str) -> str:
    return f"00-{trace}-00f067aa0ba902b7-01"


def test_a_command_is_one_trace_through_gateway_and_credentials(traced: Tenant, collector: Collector) -> None:
    trace = "1" * 31 + "a"
    traced.post("/credentials", {}, traceparent=traceparent(trace))
    eventually_now(lambda: {"gateway", "credentials"} <= collector.services(trace))


def test_activity_names_the_trace_of_the_call_that_changed_the_registry(traced: Tenant) -> None:
    trace = "8" * 31 + "a"
    issued = traced.post("/credentials", {}, traceparent=traceparent(trace))

    def traces() -> list[str]:
        items = traced.get("/activity", kind="credential.issued")["items"]
        return [item["trace_id"] for item in items if item["subject"] == f"credential:{issued['id']}"]

    eventually_now(lambda: traces() == [trace])


def test_an_ingest_call_is_one_trace_to_the_write_in_postgres(traced: Tenant, collector: Collector) -> None:
    trace = "2" * 31 + "a"
    body = {"topic": "devices/t1/telemetry", "payload": {"a": 1}}
    traced.post("/ingest", body, expect=202, traceparent=traceparent(trace))
    eventually_now(lambda: {"gateway", "telemetry"} <= collector.services(trace))
    eventually_now(lambda: any("COPY" in name for _, name in collector.of(trace)))


def test_an_mqtt_5_message_of_an_external_broker_is_one_trace_to_the_write_in_postgres(
    traced: Tenant, collector: Collector, mosquitto: MakeMosquitto, tmp_path: Path
) -> None:
    broker = mosquitto(users={"u": "p"})
    settings = {"host": LOOPBACK, "port": broker.port, "username": "u", "password": "p", "mqtt_version": "5"}
    traced.post("/integrations", {"name": "traced", "broker_type": "external", "settings": settings})
    eventually_now(lambda: traced.get("/activity", kind="link.up")["items"])
    trace = "3" * 31 + "a"
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set("u", "p")
    client.connect(LOOPBACK, broker.port)
    client.loop_start()
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = ("traceparent", traceparent(trace))
    client.publish("devices/t2/telemetry", b'{"a":1}', qos=1, properties=properties).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()
    eventually_now(lambda: {"ingest", "telemetry"} <= collector.services(trace))
    eventually_now(lambda: any("COPY" in name for _, name in collector.of(trace)))


def test_a_batch_links_to_the_trace_of_each_message_in_it(traced: Tenant, collector: Collector) -> None:
    traces = [f"{number:031x}b" for number in range(1, 6)]
    for number, trace in enumerate(traces):
        body = {"topic": "devices/t3/telemetry", "payload": {"a": number}}
        traced.post("/ingest", body, expect=202, traceparent=traceparent(trace))
    eventually_now(lambda: all("telemetry" in collector.services(trace) for trace in traces))
    projections = [span for span in collector.spans if span[:2] == ("hybridmq-telemetry", "project messages")]
    assert set(traces) <= {linked for _, _, _, links in projections for linked in links}
    # A batch has a trace of its own: it belongs to none of its messages.
    assert not {trace for _, _, trace, _ in projections} & set(traces)


def test_who_asks_for_no_trace_is_sampled_as_the_operator_says(traced: Tenant, collector: Collector) -> None:
    for _ in range(20):
        traced.get("/credentials")
    trace = "4" * 31 + "a"
    traced.http.get("/v1/credentials", headers={"traceparent": traceparent(trace)})
    eventually_now(lambda: "gateway" in collector.services(trace))
    unasked = "5" * 31 + "a"
    traced.http.get("/v1/credentials", headers={"traceparent": f"00-{unasked}-00f067aa0ba902b7-00"})
    later = "6" * 31 + "a"
    traced.http.get("/v1/credentials", headers={"traceparent": traceparent(later)})
    eventually_now(lambda: "gateway" in collector.services(later))
    of_gateway = {trace for service, name, trace, _ in collector.spans if name == "GET /v1/credentials"}
    assert of_gateway == {trace, later}


def test_a_duration_names_the_trace_that_it_was_measured_in(traced: Tenant, collector: Collector) -> None:
    trace = "7" * 31 + "a"
    traced.http.get("/v1/credentials", headers={"traceparent": traceparent(trace)})
    eventually_now(lambda: ("http.server.request.duration", trace) in collector.exemplars)
    eventually_now(lambda: ("hybridmq.call.duration", trace) in collector.exemplars)


@needs_prometheus
def test_prometheus_takes_the_trace_of_a_duration_from_metrics(traced: Tenant, tmp_path: Path) -> None:
    prometheus = Prometheus(tmp_path / "prometheus", targets(traced.stack))
    prometheus.start()
    try:
        trace = "9" * 31 + "a"
        traced.http.get("/v1/credentials", headers={"traceparent": traceparent(trace)})
        traced.http.get("/v1/credentials", headers={"traceparent": f"00-{'9' * 31}b-00f067aa0ba902b7-00"})

        def exemplars(metric: str) -> set[str]:
            found = prometheus.ask("query_exemplars", query=f"{metric}_seconds_bucket", start="0", end="9e9")
            return {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}

        eventually_now(lambda: trace in exemplars("http_server_request_duration"))
        eventually_now(lambda: trace in exemplars("hybridmq_call_duration"))
        assert "9" * 31 + "b" not in exemplars("http_server_request_duration"), "a trace that was not kept"
    finally:
        prometheus.stop()
