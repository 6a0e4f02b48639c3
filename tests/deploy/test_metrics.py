"""A real Prometheus asks a running platform: every metric that alerts and dashboards speak of is there."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from deploy.k8s import dashboards
from deploy.k8s.render import FOLDER
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Process
from deploy.local.stack import Stack
from tests.conftest import MakeMosquitto
from tests.support.eventually import eventually_now
from tests.support.tenant import Device, Tenant

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="Prometheus is not installed: tests/support/install.sh"
    ),
]
SERVICES = ("gateway", "credentials", "ingest", "telemetry", "relay")
RULES = yaml.safe_load((FOLDER / "components/monitoring/rules.yaml").read_text())["spec"]
METRIC = re.compile(r"\b(?:hybridmq|http_server|process)_[a-z0-9_]+\b")
RARE = {
    "hybridmq_ingest_dropped_total": "a message was dropped",
    "hybridmq_ingest_duplicates_total": "a broker sent a message again",
    "hybridmq_relay_refused_total": "the relay ended a connection",
}
"""Counters that begin with their first event, which this test does not bring about; others' tests do."""


def scaled_by() -> list[str]:
    """What KEDA asks Prometheus."""
    scaled = [yaml.safe_load(file.read_text()) for file in (FOLDER / "components/keda").glob("[!k]*.yaml")]
    triggers = [trigger["metadata"] for each in scaled for trigger in each["spec"]["triggers"]]
    return [held["query"] for held in triggers if "query" in held]


class Prometheus:
    """Debian's, with the platform's rules."""

    def __init__(self, folder: Path, targets: dict[str, str]) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "rules.yaml").write_text(yaml.safe_dump(RULES))
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": [address]}]}
                for name, address in targets.items()
            ],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}/api/v1"
        self.process = Process(
            "prometheus",
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={LOOPBACK}:{port}",
            ],
            log=folder / "prometheus.log",
            stop_signal=signal.SIGTERM,
        )

    def ask(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.url}/{path}", params=parameters, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def ready(self) -> bool:
        try:
            return httpx.get(self.url.replace("/api/v1", "/-/ready"), timeout=2).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    platform = Stack(
        tmp_path_factory.mktemp("platform"), extra_environment={"METRICS_BY_ORGANIZATION": "true"}
    )
    platform.start()
    yield platform
    platform.stop()


@pytest.fixture(scope="module")
def prometheus(watched: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    targets = {name: watched.health_url(name).removeprefix("http://") for name in SERVICES[1:4]}
    targets["gateway"] = watched.addresses.gateway.removeprefix("http://")
    targets["relay"] = f"{LOOPBACK}:{watched._secured.health}"
    started = Prometheus(tmp_path_factory.mktemp("prometheus"), targets)
    started.process.start()
    started.process.await_ready(started.ready, timeout_s=60)
    yield started
    started.process.stop()


def test_every_metric_of_alerts_and_dashboards_is_told(
    watched: Stack, prometheus: Prometheus, mosquitto: MakeMosquitto
) -> None:
    tenant = Tenant(watched)
    device = tenant.issue("d1")
    broker = mosquitto(users={"u": "p"})
    settings = {"host": LOOPBACK, "port": broker.port, "username": "u", "password": "p"}
    link = tenant.post("/integrations", {"name": "l", "broker_type": "external", "settings": settings})
    port = int(watched.addresses.mqtt.rpartition(":")[2])
    with_tls = int(watched.addresses.mqtts.rpartition(":")[2])
    connected = [device_at(device, port, ""), device_at(device, with_tls, "-tls", watched.addresses.mqtt_ca)]
    for client, payload in ((connected[0], b'{"a": 1}'), (connected[1], b"no json")):
        client.publish(device.topic("devices/d1/telemetry"), payload, qos=1).wait_for_publish(20)
    eventually_now(lambda: tenant.get(f"/integrations/{link['id']}/status")["state"] == "up")
    tenant.post(f"/integrations/{link['id']}/publish", {"topic": "a", "payload": "b"}, expect=200)

    needed = {
        name
        for query in [
            *(rule["expr"] for group in RULES["groups"] for rule in group["rules"]),
            *(query for dashboard in dashboards.ALL for query in dashboard.expressions()),
            *scaled_by(),
        ]
        for name in METRIC.findall(query)
    }

    def all_are_told() -> bool:
        assert needed - RARE.keys() - set(prometheus.ask("label/__name__/values")) == set()
        return True

    eventually_now(all_are_told, timeout_s=60, every_s=0.5)
    for client in connected:
        client.disconnect()
        client.loop_stop()
    tenant.close()


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


def test_prometheus_evaluates_every_rule_and_every_line_of_a_dashboard(prometheus: Prometheus) -> None:
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
    for dashboard in dashboards.ALL:
        for query in dashboard.expressions():
            prometheus.ask(
                "query", query=query.replace("$__rate_interval", "1m").replace("$organization", ".*")
            )
        held = json.loads(dashboard.path.read_text())
        assert [
            target["expr"] for panel in held["panels"] for target in panel["targets"]
        ] == dashboard.expressions()


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
