"""Two tenants that try to read, write, disturb or learn of each other; each refusal is asserted on delivery."""

import threading
from collections.abc import Callable

import paho.mqtt.client as mqtt
import pytest

from deploy.local.stack import Stack
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant, connect, disconnect, drop

pytestmark = pytest.mark.system

NOSY = [
    "#",
    "+/#",
    "+/devices/#",
    "$SYS/#",
    "+/+/+/+",
    "$MQTT/#",
    "$JS/#",
    "*",
    ">",
    "{other}/#",
    "{other}/devices/+/telemetry",
]


@pytest.fixture(scope="module")
def acme(new_tenant: Callable[[str], Tenant]) -> Tenant:
    return new_tenant("Acme")


@pytest.fixture(scope="module")
def rival(new_tenant: Callable[[str], Tenant]) -> Tenant:
    return new_tenant("Rival")


def test_no_filter_hears_the_other_organization(acme: Tenant, rival: Tenant, stack: Stack) -> None:
    device, spy = acme.issue("d1"), rival.issue()
    heard: list[str] = []
    own = threading.Event()
    clients = []
    for number, filter in enumerate(NOSY):
        client = spy.client(suffix=f"-{number}")

        def note(_client: object, _data: object, message: object) -> None:
            heard.append(str(message.topic))  # type: ignore[attr-defined]
            own.set()

        client.on_message = note
        connect(client, stack.nats.ports.mqtt)
        client.subscribe(filter.format(other=acme.id), qos=1)
        clients.append(client)

    def note_own(_client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        heard.append(message.topic)
        own.set()

    listener = spy.client(suffix="-own")
    listener.on_message = note_own
    connect(listener, stack.nats.ports.mqtt)
    done = threading.Event()
    listener.on_subscribe = lambda *_: done.set()
    listener.subscribe(f"{rival.id}/devices/#", qos=1)
    assert done.wait(5)
    victim = device.client()
    connect(victim, stack.nats.ports.mqtt)
    victim.publish(device.topic("devices/d1/telemetry"), b'{"a":1}', qos=1, retain=True).wait_for_publish(10)
    # The proof that ears are open: the rival's own message does arrive, after the other one.
    listener.publish(spy.topic("devices/x/telemetry"), b'{"a":1}', qos=1).wait_for_publish(10)
    assert own.wait(5)
    for client in (*clients, listener, victim):
        disconnect(client)
    assert heard
    assert all(topic.startswith(rival.id) for topic in heard), heard


def test_a_publish_into_the_other_organization_does_not_arrive(
    acme: Tenant, rival: Tenant, stack: Stack
) -> None:
    spy = rival.issue("spy")
    client = spy.client()
    client.will_set(f"{acme.id}/devices/will/telemetry", b'{"evil":1}', qos=1)
    connect(client, stack.nats.ports.mqtt)
    client.publish(f"{acme.id}/devices/d1/telemetry", b'{"evil":1}', qos=0)
    client.publish(f"{acme.id}/devices/d1/telemetry", b'{"evil":1}', qos=1)
    client.publish(f"{acme.id}/devices/kept/telemetry", b'{"evil":1}', qos=1, retain=True)
    own = client.publish(spy.topic("devices/spy/telemetry"), b'{"own":1}', qos=1)
    own.wait_for_publish(10)
    eventually_now(lambda: rival.get("/telemetry", device_id="spy")["items"])
    drop(client)
    client.loop_stop()
    eventually_now(lambda: rival.get("/activity", kind="device.disconnected")["items"])
    assert not [row for row in acme.all("/messages") if "evil" in row["payload"]]


def test_objects_of_the_other_organization_look_like_missing_ones(acme: Tenant, rival: Tenant) -> None:
    credential = acme.issue("hidden")
    acme.post("/ingest", {"topic": "devices/hidden/telemetry", "payload": {"a": 1}}, expect=202)
    eventually_now(lambda: acme.get("/devices")["items"])
    for path in (f"/v1/credentials/{credential.id}", "/v1/devices/hidden"):
        theirs, missing = rival.http.get(path), rival.http.get(path[:-2] + "zz")
        assert theirs.status_code == missing.status_code == 404
        keep = ("type", "title", "status", "code", "detail")
        assert [theirs.json().get(name) for name in keep] == [missing.json().get(name) for name in keep]
    assert rival.http.post(f"/v1/credentials/{credential.id}/revoke", json={}).status_code == 404
    assert acme.get(f"/credentials/{credential.id}")["state"] == "active"
    assert not [row for row in rival.all("/telemetry") if row["device_id"] == "hidden"]
    assert not [row for row in rival.all("/messages") if row["topic"].startswith(acme.id)]


def test_the_live_stream_shows_only_its_own(acme: Tenant, rival: Tenant) -> None:
    seen: list[str] = []
    enough = threading.Event()

    def listen() -> None:
        for _, event in rival.stream():
            seen.append(str(event["topic"]))
            if event["topic"].endswith("rival/telemetry"):
                enough.set()
                return

    threading.Thread(target=listen, daemon=True).start()
    for _ in range(50):
        acme.post("/ingest", {"topic": "devices/acme/telemetry", "payload": {"a": 1}}, expect=202)
        rival.post("/ingest", {"topic": "devices/rival/telemetry", "payload": {"a": 1}}, expect=202)
        if enough.wait(0.2):
            break
    assert enough.is_set()
    assert not [topic for topic in seen if "acme" in topic]


def test_a_client_id_cannot_be_taken_over_by_another_organization(
    acme: Tenant, rival: Tenant, stack: Stack
) -> None:
    victim, spy = acme.issue("v1"), rival.issue("s1")
    disturbed = threading.Event()
    client = victim.client()
    connect(client, stack.nats.ports.mqtt)
    client.on_disconnect = lambda *_: disturbed.set()
    thief = spy.client()
    thief._client_id = victim.client_id.encode()
    with pytest.raises(ConnectionRefusedError):
        connect(thief, stack.nats.ports.mqtt)
    client.publish(victim.topic("devices/v1/telemetry"), b'{"a":1}', qos=1).wait_for_publish(10)
    assert not disturbed.is_set()
    disconnect(client)


def test_what_was_forbidden_stands_in_the_activity_of_the_one_who_tried(
    acme: Tenant, rival: Tenant, stack: Stack
) -> None:
    spy = rival.issue("curious")
    client = spy.client()
    connect(client, stack.nats.ports.mqtt)
    wanted = {"topic.forbidden": f"{acme.id}/devices/d1/telemetry", "filter.forbidden": f"{acme.id}/#"}
    client.publish(wanted["topic.forbidden"], b"{}", qos=1).wait_for_publish(10)
    client.subscribe(wanted["filter.forbidden"], qos=1)

    def shown() -> dict[str, str]:
        items = rival.get("/activity", kind="device.refused")["items"]
        return {item["reason"]: item["details"]["topic"] for item in items if spy.id in str(item["subject"])}

    eventually_now(lambda: shown() == wanted)
    disconnect(client)
    assert acme.id not in str(acme.get("/activity", kind="device.refused")["items"])
