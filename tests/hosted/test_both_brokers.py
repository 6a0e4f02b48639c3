"""What a device and a tenant may rely on, whichever broker is behind it (issue 3, part 7)."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import pytest

from deploy.local.stack import Stack
from tests.support.eventually import eventually_now
from tests.support.ledger import Ledger, Load, Mqtt, judge
from tests.support.tenant import Device, Tenant, connect, disconnect

pytestmark = [pytest.mark.system, pytest.mark.timeout(480)]


@pytest.mark.parametrize("websockets", [False, True], ids=["tcp", "websocket"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_publish_becomes_a_reading(tenant: Tenant, stack: Stack, websockets: bool, qos: int) -> None:
    name = f"d-{qos}-{'ws' if websockets else 'tcp'}"
    device = tenant.issue(name)
    client = device.client(websockets=websockets)
    connect(client, urlsplit(stack.addresses.mqtt_ws if websockets else stack.addresses.mqtt).port or 0)
    payload = b'{"temperature": 21.5}'
    client.publish(device.topic(f"devices/{name}/telemetry/room.1"), payload, qos=qos).wait_for_publish(10)
    [row] = eventually_now(lambda: tenant.get("/telemetry", device_id=name)["items"])
    disconnect(client)
    assert (row["device_id"], row["integration_id"]) == (name, "hosted")
    assert row["metrics"] == {"temperature": 21.5}
    [message] = tenant.get("/messages", device_id=name)["items"]
    assert message["payload"].encode() == payload
    assert message["qos"] == qos
    assert message["topic"] == device.topic(f"devices/{name}/telemetry/room.1")


def test_a_wrong_password_and_a_foreign_client_id_are_refused(tenant: Tenant, port: int) -> None:
    device, other = tenant.issue("w1"), tenant.issue("w2")
    for wrong in (
        Device(device.id, device.username, "hmq_dev_wrong", device.client_id, device.topic_prefix),
        Device(device.id, device.username, other.password, device.client_id, device.topic_prefix),
        Device(device.id, device.username, device.password, other.client_id, device.topic_prefix),
        Device(device.id, "cred_0000000000000000", device.password, device.client_id, device.topic_prefix),
    ):
        with pytest.raises(ConnectionRefusedError):
            connect(wrong.client(), port)
    client = device.client()
    connect(client, port)
    disconnect(client)


def test_a_client_id_is_not_taken_over_by_another_tenant(
    tenant: Tenant, stack: Stack, port: int, new_tenant: Callable[[Stack, str], Tenant]
) -> None:
    victim = tenant.issue("v1")
    rival = new_tenant(stack, "Rival").issue("v1")
    closed = threading.Event()
    client = victim.client()
    connect(client, port)
    client.on_disconnect = lambda *_: closed.set()
    thief = Device(rival.id, rival.username, rival.password, victim.client_id, rival.topic_prefix)
    with pytest.raises(ConnectionRefusedError):
        connect(thief.client(), port)
    client.publish(victim.topic("devices/v1/telemetry"), b'{"still": 1}', qos=1).wait_for_publish(10)
    assert not closed.is_set()
    disconnect(client)


NOSY = [
    "#",
    "+/#",
    "+/devices/#",
    "+/+/+/+",
    "$SYS/#",
    "$CONTROL/#",
    "{other}/#",
    "{other}/devices/+/telemetry",
]


def test_another_tenant_hears_and_writes_nothing(
    tenant: Tenant, stack: Stack, port: int, new_tenant: Callable[[Stack, str], Tenant]
) -> None:
    rival = new_tenant(stack, "Spy")
    device, spy = tenant.issue("i1"), rival.issue()
    heard: list[str] = []
    spying, speaking = spy.client(), device.client()
    spying.on_message = lambda _c, _d, message: heard.append(message.topic)
    connect(spying, port)
    connect(speaking, port)
    for filter in NOSY:
        spying.subscribe(filter.format(other=tenant.id), qos=1)
    spying.subscribe(spy.topic("devices/#"), qos=1)
    topic = tenant.id + "/devices/i1/telemetry"
    speaking.publish(topic, b'{"secret": 1}', qos=1, retain=True).wait_for_publish(10)
    spying.publish(topic, b'{"forged": 1}', qos=1)
    own = spy.topic("devices/own/telemetry")

    def own_heard() -> bool:  # the connection may have been closed for what it asked
        if not spying.is_connected():
            return True
        spying.publish(own, b'{"own": 1}', qos=1)
        return own in heard

    eventually_now(own_heard, every_s=0.1)
    eventually_now(lambda: tenant.get("/telemetry", device_id="i1")["items"])
    speaking.publish(topic, b'{"last": 1}', qos=1).wait_for_publish(10)
    eventually_now(lambda: len(tenant.get("/messages", device_id="i1")["items"]) >= 2)
    disconnect(speaking)
    disconnect(spying)
    assert {*heard} <= {own}
    payloads = [row["payload"] for row in tenant.all("/messages", device_id="i1")]
    assert payloads == ['{"last": 1}', '{"secret": 1}']


def test_a_device_writes_nothing_of_its_neighbour(tenant: Tenant, port: int) -> None:
    device, _ = tenant.issue("n1"), tenant.issue("n2")
    client = device.client()
    connect(client, port)
    client.publish(device.topic("devices/n2/telemetry"), b'{"forged": 1}', qos=1)
    client.publish(device.topic("devices/n1/telemetry"), b'{"own": 1}', qos=1).wait_for_publish(10)
    eventually_now(lambda: tenant.get("/messages", device_id="n1")["items"])
    disconnect(client)
    assert tenant.get("/messages", device_id="n2")["items"] == []


def test_a_command_reaches_its_device(tenant: Tenant, port: int) -> None:
    device = tenant.issue("c1")
    heard: list[bytes] = []
    client = device.client()
    client.on_message = lambda _c, _d, message: heard.append(bytes(message.payload))
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    connect(client, port)
    client.subscribe(device.topic("commands/c1/#"), qos=1)
    assert subscribed.wait(5)
    tenant.post(
        "/integrations/hosted/publish",
        {"topic": "commands/c1/reboot", "payload": "now", "qos": 1},
        expect=200,
    )
    eventually_now(lambda: heard == [b"now"])
    disconnect(client)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_command_is_answered_by_its_device(tenant: Tenant, port: int, qos: int) -> None:
    name = f"answering-{qos}"
    device = tenant.issue(name)
    client = device.client()
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()

    def answer(_client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        id = message.topic.rpartition("/")[2]
        client.publish(device.topic(f"devices/{name}/responses/{id}"), message.payload, qos=qos)

    client.on_message = answer
    connect(client, port)
    client.subscribe(device.topic(f"commands/{name}/#"), qos=2)
    assert subscribed.wait(10)
    shown = tenant.post(
        f"/devices/{name}/commands", {"name": "set", "payload": {"n": qos}, "qos": qos, "wait_s": 20}
    )
    disconnect(client)
    assert (shown["state"], shown["answer"]["payload"]) == ("answered", f'{{"n":{qos}}}')


def test_a_revoked_credential_is_closed_within_a_second_and_its_neighbour_is_not(
    tenant: Tenant, port: int
) -> None:
    device, neighbour = tenant.issue("r1"), tenant.issue("r2")
    closed, disturbed = threading.Event(), threading.Event()
    client, other = device.client(), neighbour.client()
    connect(client, port)
    connect(other, port)
    client.on_disconnect = lambda *_: closed.set()
    other.on_disconnect = lambda *_: disturbed.set()
    tenant.post(f"/credentials/{device.id}/revoke", {}, expect=204)
    assert closed.wait(1)
    client.loop_stop()
    with pytest.raises(ConnectionRefusedError):
        connect(device.client(), port)
    assert not disturbed.is_set()
    disconnect(other)


def test_who_came_and_went_is_activity(tenant: Tenant, port: int) -> None:
    device = tenant.issue("a1")
    client = device.client()
    connect(client, port)
    disconnect(client)

    def said(kind: str) -> bool:
        items = tenant.get("/activity", kind=kind)["items"]
        return any(device.client_id in json.dumps(item) for item in items)

    eventually_now(lambda: said("device.connected") and said("device.disconnected"))


@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=[pytest.mark.faults, pytest.mark.slow])])
def test_nothing_acknowledged_is_lost_when_the_broker_is_killed_under_load_with_ingest_at_its_side(
    stack: Stack, tenant: Tenant, port: int, tmp_path: Path, kills: int
) -> None:
    """`make faults` kills it more often; tests/system/test_kills.py kills every part three times without a pause."""
    name = f"k{kills}"
    device = tenant.issue(name)
    way = Mqtt(
        port,
        username=device.username,
        password=device.password,
        client_id=device.client_id,
        topic=device.topic(f"devices/{name}/telemetry"),
    )
    broker = "mosquitto" if stack.mosquitto else "nats"

    def rows() -> list[int]:
        found = sorted(tenant.all("/messages", device_id=name), key=lambda row: row["sequence"])
        return [json.loads(row["payload"])["number"] for row in found]

    load = Load(Ledger(tmp_path / "ledger"), way, window=50, rate=1000)
    load.start()
    for round in range(kills + 1):
        before = len(load.ledger.acknowledged)
        eventually_now(lambda: len(load.ledger.acknowledged) >= before + 500, timeout_s=40)  # noqa: B023
        # Alone, Mosquitto can lose the message that it has just acknowledged (ADR 8).
        newest = load.ledger.acknowledged[-1]
        eventually_now(lambda: newest in rows(), timeout_s=30, every_s=0.1)  # noqa: B023
        if round < kills:
            stack.kill(broker)
            stack.restart(broker)
    load.leave_off.set()
    load.join(30)
    wanted = set(load.ledger.acknowledged)
    eventually_now(lambda: wanted <= set(rows()), timeout_s=60, every_s=0.5)
    verdict = judge(load.ledger, rows())
    print(f"{broker}: {len(wanted)} acknowledged, {kills} kills, {verdict}")  # noqa: T201 — the figures of the run
    assert (verdict.lost, verdict.invented, verdict.doubled) == (0, 0, 0)
