"""A real Prometheus asks a running platform: every alert's metrics are there, every line of a dashboard has a value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from deploy.k8s import dashboards
from deploy.k8s.grafana import of_one
from deploy.k8s.render import FOLDER
from deploy.local.ports import LOOPBACK
from deploy.local.stack import Stack
from tests.conftest import MakeStack
from tests.support.eventually import eventually_now
from tests.support.mosquitto import Mosquitto, find_mosquitto
from tests.support.prometheus import LABELS, Prometheus, needs_prometheus, targets
from tests.support.tenant import Device, Tenant

pytestmark = [
    pytest.mark.system,
    needs_prometheus,
    pytest.mark.skipif(
        find_mosquitto() is None, reason="Mosquitto is not installed: tests/support/install.sh"
    ),
]
SERVICES = ("gateway", "credentials", "ingest", "telemetry", "relay")
RULES = yaml.safe_load((FOLDER / "components/monitoring/rules.yaml").read_text())["spec"]
METRIC = re.compile(r"\b(?:hybridmq|http_server|process)_[a-z0-9_]+\b")
LABEL = re.compile(r"{{(\w+)}}")


def scaled_by() -> list[str]:
    """What KEDA asks Prometheus."""
    scaled = [yaml.safe_load(file.read_text()) for file in (FOLDER / "components/keda").glob("[!k]*.yaml")]
    triggers = [trigger["metadata"] for each in scaled for trigger in each["spec"]["triggers"]]
    return [held["query"] for held in triggers if "query" in held]


@pytest.fixture(scope="module")
def watched(make_stack: MakeStack) -> Iterator[Stack]:
    platform = make_stack(extra_environment={"METRICS_BY_ORGANIZATION": "true"})
    yield platform
    platform.stop()


@pytest.fixture(scope="module")
def prometheus(watched: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    started = Prometheus(tmp_path_factory.mktemp("prometheus"), targets(watched), RULES)
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def used(
    watched: Stack, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenant]:
    """A bit of everything happens: devices of both kinds, a link, a publish out, a message that cannot be read."""
    tenant = Tenant(watched)
    device = tenant.issue("d1")
    broker = Mosquitto(tmp_path_factory.mktemp("broker"), users={"u": "p"})
    broker.start()
    settings = {"host": LOOPBACK, "port": broker.port, "username": "u", "password": "p"}
    link = tenant.post("/integrations", {"name": "l", "broker_type": "external", "settings": settings})
    port = int(watched.addresses.mqtt.rpartition(":")[2])
    with_tls = int(watched.addresses.mqtts.rpartition(":")[2])
    connected = [device_at(device, port, ""), device_at(device, with_tls, "-tls", watched.addresses.mqtt_ca)]
    for client, payload in ((connected[0], b'{"a": 1}'), (connected[1], b"no json")):
        client.publish(device.topic("devices/d1/telemetry"), payload, qos=1).wait_for_publish(20)
    eventually_now(lambda: tenant.get(f"/integrations/{link['id']}/status")["state"] == "up")
    tenant.post(f"/integrations/{link['id']}/publish", {"topic": "a", "payload": "b"}, expect=200)
    assert tenant.http.get("/v1/credentials/none").status_code == 404
    eventually_now(lambda: tenant.get("/telemetry")["items"])
    yield tenant
    for client in connected:
        client.disconnect()
        client.loop_stop()
    tenant.close()
    broker.stop()


def test_every_metric_of_alerts_and_scalers_is_told(used: Tenant, prometheus: Prometheus) -> None:
    asked = [*(rule["expr"] for group in RULES["groups"] for rule in group["rules"]), *scaled_by()]
    needed = {name for query in asked for name in METRIC.findall(query)}

    def all_are_told() -> bool:
        assert needed - set(prometheus.ask("label/__name__/values")) == set()
        return True

    eventually_now(all_are_told, timeout_s=60, every_s=0.5)


def test_every_line_of_a_dashboard_shows_something(used: Tenant, prometheus: Prometheus) -> None:
    """Not an empty graph: a value that is a number, not negative, under a legend that says whose it is."""

    def all_show_something() -> bool:
        # What happened before Prometheus first asked has no rate: here is something new.
        used.post("/ingest", {"topic": "devices/d1/telemetry", "payload": {"a": 1}}, expect=202)
        assert used.get("/devices")["items"]
        assert [
            f"{dashboard.title}: {panel.title}: {legend}: {fault}"
            for dashboard in dashboards.ALL
            for panel in dashboard.panels
            for legend, query in panel.lines
            if (fault := _fault(prometheus.ask("query", query=_as_grafana(of_one(query)))["result"], legend))
        ] == []
        return True

    eventually_now(all_show_something, timeout_s=90, every_s=2)


def test_no_line_of_a_dashboard_shows_another_installation(used: Tenant, prometheus: Prometheus) -> None:
    for dashboard in dashboards.ALL:
        for query in dashboard.expressions():
            there = prometheus.ask("query", query=_as_grafana(query, namespace="elsewhere"))["result"]
            assert [series for series in there if series["value"][1] != "0"] == [], query


def _as_grafana(query: str, namespace: str = LABELS["namespace"]) -> str:
    """With its variables in place; of what should not happen, the series that would show it."""
    chosen = {"__rate_interval": "15m", "organization": ".*", "cluster": "", "namespace": namespace}
    for name, value in chosen.items():
        query = query.replace(f"${name}", value)
    return query.removesuffix(" > 0")


def _fault(result: list[dict[str, Any]], legend: str) -> str | None:
    values = [float(series["value"][1]) for series in result]
    unnamed = {
        label for label in LABEL.findall(legend) for series in result if not series["metric"].get(label)
    }
    if not result:
        return "nothing"
    if unnamed:
        return f"no {', '.join(sorted(unnamed))}"
    if "{{" not in legend and len(result) != 1:
        return f"{len(result)} lines of one name"
    shown = [value for value in values if not math.isnan(value)]  # a quantile of nothing is left out
    return None if shown and all(0 <= value < math.inf for value in shown) else str(values)


def test_times_are_measured_as_finely_as_they_are(used: Tenant, prometheus: Prometheus) -> None:
    for metric in ("http_server_request_duration", "hybridmq_call_duration", "hybridmq_projection_commit"):
        query = f"histogram_quantile(0.5, sum by (le) ({metric}_seconds_bucket))"
        median = float(prometheus.ask("query", query=query)["result"][0]["value"][1])
        assert 0 < median < 1, metric  # of buckets that begin at five seconds: 2.5


def device_at(device: Device, port: int, suffix: str, authority: str | None = None) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=device.client_id + suffix)
    client.username_pw_set(device.username, device.password)
    if authority is not None:
        client.tls_set_context(_trusting(authority))
    client.connect(LOOPBACK, port)
    client.loop_start()
    eventually_now(client.is_connected)
    return client


def _trusting(url: str) -> Any:
    import ssl

    return ssl.create_default_context(cadata=httpx.get(url, timeout=20).text)


def test_prometheus_evaluates_every_rule(prometheus: Prometheus) -> None:
    groups = eventually_now(
        lambda: [
            rule
            for group in prometheus.ask("rules")["groups"]
            for rule in group["rules"]
            if rule["health"] != "unknown"
        ]
    )
    assert {rule["name"]: rule["health"] for rule in groups if rule["health"] != "ok"} == {}
    for query in scaled_by():
        assert len(prometheus.ask("query", query=query)["result"]) == 1, "KEDA takes one number"


def test_no_metric_names_a_tenant_unless_it_is_asked_for(stack: Stack) -> None:
    tenant = Tenant(stack)
    device = tenant.issue("secret-device")
    tenant.post("/ingest", {"topic": "devices/secret-device/telemetry", "payload": {"a": 1}}, expect=202)
    eventually_now(lambda: tenant.get("/telemetry")["items"])
    told = "".join(
        httpx.get(f"{url}/metrics", timeout=20).text
        for url in (stack.addresses.gateway, *(stack.health_url(name) for name in SERVICES[1:4]))
    )
    tenant.close()
    for name in (tenant.id, device.id, "secret-device"):
        assert name not in told
