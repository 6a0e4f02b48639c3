"""The way of a message through all four services: stock paho clients, HTTP, the store, the live stream."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from deploy.local.stack import Stack
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant, connect, disconnect, drop

pytestmark = pytest.mark.system


def readings_of(tenant: Tenant, device: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = tenant.get("/telemetry", device_id=device)["items"]
    return items


@pytest.mark.parametrize("websockets", [False, True], ids=["tcp", "websocket"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_publish_becomes_a_reading(tenant: Tenant, stack: Stack, websockets: bool, qos: int) -> None:
    name = f"d-{qos}-{'ws' if websockets else 'tcp'}"
    device = tenant.issue(name)
    client = device.client(websockets=websockets)
    connect(client, stack.nats.ports.websocket if websockets else stack.nats.ports.mqtt)
    payload = b'{"temperature":21.5, "door" : "open","ok":true,"timestamp":"2026-11-21T10:00:00Z"}'
    client.publish(device.topic(f"devices/{name}/telemetry"), payload, qos=qos).wait_for_publish(10)
    [row] = eventually_now(lambda: tenant.get("/telemetry", device_id=name)["items"])
    disconnect(client)
    assert row["metrics"] == {"temperature": 21.5, "door": "open", "ok": True}
    assert row["timestamp"].startswith("2026-11-21T10:00:00")
    assert (row["device_id"], row["integration_id"]) == (name, "hosted")
    [message] = tenant.get("/messages", device_id=name)["items"]
    assert message["payload"].encode() == payload  # untouched, spaces and all
    assert message["qos"] == qos
    assert message["topic"] == device.topic(f"devices/{name}/telemetry")


def test_a_message_over_http_becomes_a_reading(tenant: Tenant) -> None:
    tenant.post("/ingest", {"topic": "devices/h1/telemetry", "payload": {"co2": 700}}, expect=202)
    [row] = eventually_now(lambda: tenant.get("/telemetry", device_id="h1")["items"])
    assert row["metrics"] == {"co2": 700}
    assert row["integration_id"] == "http"


def test_the_last_will_marks_the_device_offline(tenant: Tenant, stack: Stack) -> None:
    device = tenant.issue("w1")
    client = device.client()
    client.will_set(device.topic("devices/w1/lwt"), b"offline", qos=1)
    connect(client, stack.nats.ports.mqtt)
    client.publish(device.topic("devices/w1/status"), b'{"status":"online"}', qos=1).wait_for_publish(10)

    def online() -> object:
        return next((item["online"] for item in tenant.all("/devices") if item["id"] == "w1"), None)

    eventually_now(lambda: online() is True)
    drop(client)  # without a DISCONNECT
    eventually_now(lambda: online() is False)
    client.loop_stop()


def test_what_cannot_be_decoded_is_kept_with_its_reason(tenant: Tenant, stack: Stack) -> None:
    device = tenant.issue("p1")
    client = device.client()
    connect(client, stack.nats.ports.mqtt)
    client.publish(device.topic("devices/p1/telemetry"), b"{not json", qos=1).wait_for_publish(10)
    client.publish(device.topic("devices/p1/telemetry"), b'{"after": 1}', qos=1).wait_for_publish(10)
    eventually_now(lambda: len(tenant.get("/messages", device_id="p1")["items"]) == 2)
    disconnect(client)
    after, poison = tenant.get("/messages", device_id="p1")["items"]
    assert poison["failure"] == "payload.not_json"
    assert after["failure"] is None
    assert [row["metrics"] for row in readings_of(tenant, "p1")] == [{"after": 1}]


def test_a_payload_over_the_limit_stands_in_nobodys_way(tenant: Tenant, stack: Stack) -> None:
    device = tenant.issue("big")
    client = device.client()
    connect(client, stack.nats.ports.mqtt)
    for body in (b"x" * 300_000, b'{"a":"' + b"x" * 300_000 + b'"}', b'{"after":1}'):
        client.publish(device.topic("devices/big/telemetry"), body, qos=1).wait_for_publish(10)
    [row] = eventually_now(lambda: tenant.get("/telemetry", device_id="big")["items"])
    disconnect(client)
    assert row["metrics"] == {"after": 1}
    failures = [item["failure"] for item in tenant.all("/messages", device_id="big")]
    assert failures == [None, "payload.too_large", "payload.too_large"]


def test_an_organizations_own_payload_limit_holds_over_mqtt_too(
    new_tenant: Callable[[str], Tenant], stack: Stack
) -> None:
    small = new_tenant("Small payloads")
    admin = {"Authorization": f"Bearer {stack.addresses.admin_key}"}
    body = {"payload_bytes": 20}
    answer = small.http.put(f"/v1/organizations/{small.id}/limits", json=body, headers=admin)
    assert answer.status_code == 200, answer.text
    device = small.issue("d1")
    client = device.client()
    connect(client, stack.nats.ports.mqtt)

    def failures() -> list[object]:
        # The limit reaches the projection by another way than messages do: soon, not at once.
        client.publish(
            device.topic("devices/d1/telemetry"), b'{"a":"longer than that"}', qos=1
        ).wait_for_publish(10)
        return [item["failure"] for item in small.all("/messages", device_id="d1") if item["failure"]]

    assert set(eventually_now(failures)) == {"payload.too_large"}
    client.publish(device.topic("devices/d1/telemetry"), b'{"a":"short"}', qos=1).wait_for_publish(10)
    eventually_now(lambda: {"a": "short"} in [row["metrics"] for row in small.all("/telemetry")])
    disconnect(client)


def test_a_device_shows_its_latest_values(tenant: Tenant) -> None:
    for value in (1, 2, 3):
        tenant.post("/ingest", {"topic": "devices/l1/telemetry", "payload": {"a": value}}, expect=202)
    eventually_now(lambda: len(readings_of(tenant, "l1")) == 3)
    device = tenant.get("/devices/l1")
    assert device["latest"]["a"]["value"] == 3


def test_the_live_stream_shows_a_message_as_it_comes_and_resumes_without_a_gap(tenant: Tenant) -> None:
    def publish(value: int) -> None:
        tenant.post("/ingest", {"topic": "devices/s1/telemetry", "payload": {"v": value}}, expect=202)

    def listen(until: Callable[[dict[str, Any]], bool], **headers: str) -> list[tuple[str, dict[str, Any]]]:
        seen = []
        for event in tenant.stream(**headers):
            if event[1]["device_id"] == "s1":
                seen.append(event)
                if until(event[1]):
                    break
        return seen

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(listen, lambda _: True)
        value = 0
        while not first.done():  # the stream begins at the end of the log: publish until it is there
            value += 1
            publish(value)
            assert value < 500
    [(last_id, event)] = first.result()
    assert event["readings"][0]["metrics"] == {"v": json.loads(event["payload"])["v"]}
    for value in range(1000, 1005):
        publish(value)
    resumed = listen(lambda event: event["payload"] == '{"v":1004}', **{"Last-Event-ID": last_id})
    eventually_now(
        lambda: '{"v":1004}' in [row["payload"] for row in tenant.all("/messages", device_id="s1")]
    )
    stored = {row["sequence"]: row["payload"] for row in tenant.all("/messages", device_id="s1")}
    after = [payload for sequence, payload in sorted(stored.items()) if sequence > int(last_id)]
    assert [event["payload"] for _, event in resumed] == after
    assert [int(id) for id, _ in resumed] == sorted(s for s in stored if s > int(last_id))


def test_connects_and_disconnects_are_activity_with_counts(tenant: Tenant, stack: Stack) -> None:
    device = tenant.issue("a1")
    client = device.client()
    connect(client, stack.nats.ports.mqtt)
    for _ in range(3):
        client.publish(device.topic("devices/a1/telemetry"), b'{"x":1}', qos=1).wait_for_publish(10)
    disconnect(client)

    def ended() -> list[dict[str, object]]:
        held = tenant.get("/activity", kind="device.disconnected")["items"]
        return [item for item in held if device.client_id in json.dumps(item)]

    [item] = eventually_now(ended)
    assert "connected" in str(item["kind"])
    assert any(value == 3 for value in item["details"].values())  # type: ignore[attr-defined]


def test_a_revoked_credential_is_closed_within_a_second_and_its_neighbour_is_not(
    tenant: Tenant, stack: Stack, new_tenant: Callable[[str], Tenant]
) -> None:
    device, neighbour = tenant.issue("r1"), tenant.issue("r2")
    closed, disturbed = threading.Event(), threading.Event()
    client, other = device.client(), neighbour.client()
    connect(client, stack.nats.ports.mqtt)
    connect(other, stack.nats.ports.mqtt)
    client.on_disconnect = lambda *_: closed.set()
    other.on_disconnect = lambda *_: disturbed.set()
    tenant.post(f"/credentials/{device.id}/revoke", {}, expect=204)
    assert closed.wait(1)
    with pytest.raises(ConnectionRefusedError):
        connect(device.client(), stack.nats.ports.mqtt)
    assert not disturbed.is_set()
    client.loop_stop()
    disconnect(other)
