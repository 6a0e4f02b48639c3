"""A customer's broker, connected by API through all services: with a client certificate, edited while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from deploy.local.ports import LOOPBACK
from tests.support.certificates import Certificates, make_certificates
from tests.support.eventually import eventually_now
from tests.support.mosquitto import Mosquitto
from tests.support.pems import make_pair
from tests.support.tenant import Tenant

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Mosquitto]:
    """It asks for client certificates at its TLS port, and takes everybody at its plain one."""
    made = Mosquitto(
        tmp_path_factory.mktemp("mosquitto"),
        certificates=certificates,
        client_certificates=True,
        websocket=True,
    )
    made.start()
    try:
        yield made
    finally:
        made.stop()


def tls_settings(certificates: Certificates, **settings: Any) -> dict[str, Any]:
    return {
        "auth": "client_certificate",
        "host": "localhost",
        "tls": {
            "ca": certificates.authority.read_text(),
            "client_certificate": certificates.client.read_text(),
            "client_key": certificates.client_key.read_text(),
        },
        **settings,
    }


def publish(broker: Mosquitto, device: str, payload: bytes) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect(LOOPBACK, broker.port)
    client.loop_start()
    client.publish(f"devices/{device}/telemetry", payload, qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def arrives(tenant: Tenant, broker: Mosquitto, device: str, integration: str) -> None:
    """Publishes until a reading is there: the link may just be connecting."""

    def found() -> bool:
        publish(broker, device, b'{"temperature": 21.5}')
        rows = tenant.get("/telemetry", device_id=device)["items"]
        return bool(rows) and rows[0]["integration_id"] == integration

    eventually_now(found, timeout_s=30, every_s=0.2)


def change(tenant: Tenant, id: str, expect: int = 200, **body: Any) -> dict[str, Any]:
    answer = tenant.http.patch(f"/v1/integrations/{id}", json=body)
    assert answer.status_code == expect, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


@pytest.mark.parametrize("protocol", ["mqtts", "wss"])
@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_broker_that_asks_for_certificates(
    tenant: Tenant, broker: Mosquitto, certificates: Certificates, protocol: str, version: str
) -> None:
    port = broker.tls_port if protocol == "mqtts" else broker.wss_port
    settings = tls_settings(certificates, protocol=protocol, port=port, mqtt_version=version)
    tested = tenant.post("/integrations/test", {"settings": settings}, expect=200)
    assert tested["ok"]
    made = tenant.post("/integrations", {"name": f"{protocol} {version}", "settings": settings})
    assert made["client_certificate"]["subject"] == "CN=test client"
    assert "PRIVATE KEY" not in str(made)
    arrives(tenant, broker, f"d-{protocol}-{version[0]}", made["id"])
    tenant.http.delete(f"/v1/integrations/{made['id']}").raise_for_status()


def test_edits_keep_the_key_and_a_bad_one_leaves_the_connection(
    tenant: Tenant, broker: Mosquitto, certificates: Certificates
) -> None:
    settings = tls_settings(certificates, protocol="mqtts", port=broker.tls_port)
    made = tenant.post("/integrations", {"name": "edited", "settings": settings})
    arrives(tenant, broker, "e1", made["id"])

    refused = change(tenant, made["id"], 422, settings={"tls": {"client_key": make_pair().key}})
    assert (refused["code"], refused["field"]) == ("certificate.invalid", "settings.tls.client_key")
    change(tenant, made["id"], settings={"keepalive_s": 60})
    arrives(tenant, broker, "e2", made["id"])

    unverified = change(tenant, made["id"], settings={"tls": {"verify": False, "ca": None}})
    assert "tls.unverified" in [warning["code"] for warning in unverified["warnings"]]
    arrives(tenant, broker, "e3", made["id"])
    noted = eventually_now(lambda: tenant.get("/activity", kind="integration.changed")["items"])
    assert "not verified" in str([entry["summary"] for entry in noted])

    plain = change(
        tenant, made["id"], settings={"auth": "none", "protocol": "ws", "port": broker.websocket_port}
    )
    assert (plain["has_secrets"], plain["settings"]["tls"], plain["client_certificate"]) == ([], None, None)
    arrives(tenant, broker, "e4", made["id"])


def test_two_of_the_same_name_are_a_conflict(tenant: Tenant, broker: Mosquitto) -> None:
    body = {"name": "Same", "settings": {"host": LOOPBACK, "port": broker.port}}
    tenant.post("/integrations", body)
    problem = tenant.post("/integrations", {**body, "name": "SAME"}, expect=409)
    assert (problem["code"], problem["field"]) == ("name.taken", "name")


def test_certificate_and_key_in_one_file_are_refused(tenant: Tenant, certificates: Certificates) -> None:
    """As some tools write them: the key must not end in what everybody may see."""
    both = certificates.client.read_text() + certificates.client_key.read_text()
    settings = tls_settings(certificates)
    settings["tls"]["client_certificate"] = both
    problem = tenant.post("/integrations", {"name": "both", "settings": settings}, expect=422)
    assert problem["field"] == "settings.tls.client_certificate"
    assert certificates.client_key.read_text().splitlines()[1] not in str(problem)


def test_of_changes_at_the_same_moment_none_is_lost(tenant: Tenant, broker: Mosquitto) -> None:
    made = tenant.post("/integrations", {"name": "busy", "settings": {"host": LOOPBACK, "port": broker.port}})
    changes: list[dict[str, Any]] = [{"keepalive_s": 77}, {"topic_prefix": "hall"}, {"mqtt_version": "5"}]
    with ThreadPoolExecutor(len(changes)) as pool:
        list(pool.map(lambda settings: change(tenant, made["id"], settings=settings), changes))
    held = tenant.get(f"/integrations/{made['id']}")["settings"]
    assert (held["keepalive_s"], held["topic_prefix"], held["mqtt_version"]) == (77, "hall", "5")
