"""What only Mosquitto does: MQTT 5, and a copy of the credentials that must stay equal to the REGISTRY."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from contracts.subjects import hosted_message
from deploy.local.stack import Stack
from tests.support.clients import platform_client
from tests.support.eventually import eventually_now
from tests.support.mosquitto_admin import Admin
from tests.support.tenant import Device, Tenant, connect, disconnect

pytestmark = [pytest.mark.system, pytest.mark.timeout(480)]

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def stack(mosquitto_stack: Stack) -> Stack:
    return mosquitto_stack


@pytest.fixture(scope="module")
def port(stack: Stack) -> int:
    assert stack.mosquitto is not None
    return stack.mosquitto.mqtt


@pytest.fixture
def admin(stack: Stack) -> Iterator[Admin]:
    """Somebody with the admin's password who works on the broker by hand."""
    with Admin(stack) as connected:
        yield connected


def five(device: Device, **options: Any) -> mqtt.Client:
    return device.client(protocol=mqtt.MQTTv5, **options)


def may_connect(device: Device, port: int) -> bool:
    client = device.client()
    try:
        connect(client, port)
    except ConnectionRefusedError:
        return False
    disconnect(client)
    return True


def properties(packet: int, **values: Any) -> Properties:
    made = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(made, name, value)
    return made


async def test_a_user_property_traceparent_is_in_the_log(tenant: Tenant, stack: Stack, port: int) -> None:
    device = tenant.issue("t1")
    client = five(device)
    connect(client, port)
    traced = properties(PacketTypes.PUBLISH, UserProperty=[("traceparent", TRACEPARENT)])
    topic = device.topic("devices/t1/telemetry")
    client.publish(topic, b'{"x": 1}', qos=1, properties=traced).wait_for_publish(10)
    eventually_now(lambda: tenant.get("/messages", device_id="t1")["items"])
    disconnect(client)
    async with platform_client(stack.nats, "telemetry") as reader:
        asked = json.dumps({"last_by_subj": hosted_message(tenant.id, "t1", "telemetry")}).encode()
        stored = await reader.request("$JS.API.DIRECT.GET.MESSAGES", asked)
    assert stored.headers is not None
    assert stored.headers["traceparent"] == TRACEPARENT


def test_a_forbidden_publish_and_a_wrong_password_have_a_reason(tenant: Tenant, port: int) -> None:
    device = tenant.issue("c1")
    codes: list[str] = []
    client = five(device)
    client.on_publish = lambda _c, _d, _m, code, _p: codes.append(str(code))
    connect(client, port)
    client.publish(device.topic("devices/other/telemetry"), b"{}", qos=1)
    client.publish(device.topic("devices/c1"), b"{}", qos=1)  # without a channel no log takes it
    client.publish(device.topic("devices/c1/telemetry"), b'{"x": 1}', qos=1)
    eventually_now(lambda: len(codes) == 3)
    disconnect(client)
    assert codes == ["Not authorized", "Not authorized", "Success"]
    wrong = Device(device.id, device.username, "hmq_dev_wrong", device.client_id, device.topic_prefix)
    with pytest.raises(ConnectionRefusedError, match="Not authorized"):
        connect(five(wrong), port)


@pytest.mark.parametrize(("expiry_s", "kept"), [(60, True), (0, False)])
def test_a_session_is_kept_as_long_as_its_device_asked(
    tenant: Tenant, port: int, expiry_s: int, kept: bool
) -> None:
    name = f"s{expiry_s}"
    device = tenant.issue(name)
    asked = properties(PacketTypes.CONNECT, SessionExpiryInterval=expiry_s)
    subscribed, heard = threading.Event(), list[bytes]()
    for visit in (1, 2):
        connected = list[bool]()
        client = five(device)
        client.on_message = lambda _c, _d, message: heard.append(bytes(message.payload))
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_connect = lambda _c, _d, flags, _r, _p: connected.append(flags.session_present)  # noqa: B023
        client.connect("127.0.0.1", port, clean_start=False, properties=asked)
        client.loop_start()
        eventually_now(lambda: bool(connected))  # noqa: B023
        assert connected == [visit == 2 and kept]
        if visit == 1:
            client.subscribe(device.topic(f"commands/{name}/#"), qos=1)
            assert subscribed.wait(5)
            disconnect(client)
            command = {"topic": f"commands/{name}/reboot", "payload": "now", "qos": 1}
            tenant.post("/integrations/hosted/publish", command, expect=200)
        elif kept:
            eventually_now(lambda: heard == [b"now"])
            disconnect(client)
        else:
            disconnect(client)
    assert heard == ([b"now"] if kept else [])


def test_a_shared_subscription_divides_a_tenants_messages_and_gives_none_to_another(
    tenant: Tenant, stack: Stack, port: int, new_tenant: Callable[[Stack, str], Tenant]
) -> None:
    heard: dict[str, list[bytes]] = {"a": [], "b": [], "spy": []}
    clients = []
    for name, device in {
        "a": tenant.issue(name="reader a"),
        "b": tenant.issue(name="reader b"),
        "spy": new_tenant(stack, "Spy").issue(),
    }.items():
        client = five(device)
        granted = threading.Event()
        client.on_subscribe = lambda *_, granted=granted: granted.set()
        client.on_message = lambda _c, _d, message, name=name: heard[name].append(bytes(message.payload))
        connect(client, port)
        client.subscribe(f"$share/pool/{tenant.id}/devices/#", qos=1)
        assert granted.wait(5)
        clients.append(client)
    sender_of = tenant.issue("sh")
    sender = five(sender_of)
    connect(sender, port)
    sent = [b'{"n": %d}' % number for number in range(20)]
    for payload in sent:
        sender.publish(sender_of.topic("devices/sh/telemetry"), payload, qos=1).wait_for_publish(10)
    eventually_now(lambda: len(heard["a"]) + len(heard["b"]) >= len(sent))
    for client in (*clients, sender):
        disconnect(client)
    assert sorted(heard["a"] + heard["b"]) == sorted(sent)
    assert heard["a"]
    assert heard["b"]
    assert heard["spy"] == []


def test_narrower_filters_hold_for_the_live_session_at_once(tenant: Tenant, port: int) -> None:
    device = tenant.issue("n1")
    codes: list[str] = []
    client = five(device)
    client.on_publish = lambda _c, _d, _m, code, _p: codes.append(str(code))
    connect(client, port)
    topic = device.topic("devices/n1/telemetry")
    client.publish(topic, b'{"x": 1}', qos=1).wait_for_publish(10)
    answer = tenant.http.put(f"/v1/credentials/{device.id}/acl", json={"publish": ["devices/n1/status"]})
    assert answer.status_code == 200, answer.text

    def refused() -> bool:
        client.publish(topic, b'{"x": 2}', qos=1)
        return codes[-1:] == ["Not authorized"]

    eventually_now(refused, timeout_s=1)
    assert client.is_connected()
    disconnect(client)


def test_a_rotated_password_is_the_only_one(tenant: Tenant, port: int) -> None:
    device = tenant.issue("ro")
    given = tenant.post(f"/credentials/{device.id}/rotate", {"grace_seconds": 0}, expect=200)
    renewed = Device(device.id, device.username, given["password"], device.client_id, device.topic_prefix)
    assert may_connect(renewed, port)
    assert not may_connect(device, port)


def test_what_somebody_changes_at_the_broker_is_repaired(tenant: Tenant, port: int, admin: Admin) -> None:
    device, disabled = tenant.issue("dr"), tenant.issue("di")
    everything = [
        {"acltype": type, "topic": "#", "priority": 9, "allow": True}
        for type in ("publishClientSend", "publishClientReceive", "subscribePattern")
    ]
    admin.do(
        {"command": "createRole", "rolename": "rogue", "acls": everything},
        {"command": "createClient", "username": "rogue", "password": "x", "roles": [{"rolename": "rogue"}]},
        {"command": "modifyRole", "rolename": device.id, "acls": everything},
        {"command": "addClientRole", "username": device.id, "rolename": "rogue", "priority": -1},
        {"command": "setClientId", "username": device.id, "clientid": "another"},
        {"command": "disableClient", "username": disabled.id},
        {"command": "createGroup", "groupname": "rogues", "roles": [{"rolename": "rogue"}]},
        {"command": "setDefaultACLAccess", "acls": [{"acltype": "subscribe", "allow": True}]},
    )

    def repaired() -> bool:
        clients, roles = admin.clients(), admin.roles()
        own = {acl["topic"] for acl in roles[device.id]["acls"]}
        return (
            not {"rogue"} & {*clients, *roles}
            and [role["rolename"] for role in clients[device.id]["roles"]] == [device.id]
            and all(topic.removeprefix("$share/+/").startswith(tenant.id) for topic in own)
            and admin.nothing_by_default()
            and may_connect(device, port)
            and may_connect(disabled, port)
        )

    eventually_now(repaired, timeout_s=20, every_s=0.2)


def test_a_client_that_somebody_deleted_comes_back_with_its_password(
    tenant: Tenant, stack: Stack, port: int, admin: Admin
) -> None:
    device = tenant.issue("de")
    admin.do({"command": "deleteClient", "username": device.id})
    assert not may_connect(device, port)

    def back() -> bool:
        stack.watch()
        return may_connect(device, port)

    eventually_now(back, timeout_s=40, every_s=0.5)


@pytest.mark.parametrize("damage", [b"", b'{"clients": [', None], ids=["empty", "torn", "gone"])
def test_a_damaged_broker_is_restored_from_the_registry(
    tenant: Tenant, stack: Stack, port: int, damage: bytes | None
) -> None:
    assert stack.mosquitto is not None
    device, revoked = tenant.issue("re"), tenant.issue("rv")
    stack.kill("mosquitto")
    tenant.post(f"/credentials/{revoked.id}/revoke", {}, expect=204)
    for file in stack.mosquitto.config_path.parent.glob("dynamic-security.json*"):
        file.unlink()
    if damage is not None:
        (stack.mosquitto.config_path.parent / "dynamic-security.json").write_bytes(damage)
    stack.restart("mosquitto")
    assert may_connect(device, port)
    assert not may_connect(revoked, port)


def test_a_credential_that_was_issued_without_a_broker_connects_when_it_is_back(
    tenant: Tenant, stack: Stack, port: int
) -> None:
    stack.kill("mosquitto")
    device = tenant.issue("wo")
    stack.restart("mosquitto")
    eventually_now(lambda: may_connect(device, port), timeout_s=5)


def test_a_crash_of_credentials_changes_nothing_for_devices(tenant: Tenant, stack: Stack, port: int) -> None:
    device = tenant.issue("cr")
    client = device.client()
    connect(client, port)
    stack.kill("credentials")
    assert client.is_connected()
    client.publish(device.topic("devices/cr/telemetry"), b'{"x": 1}', qos=1).wait_for_publish(10)
    stack.restart("credentials")
    later = tenant.issue("cl")
    assert may_connect(later, port)
    disconnect(client)


def test_a_credential_expires_by_itself(tenant: Tenant, port: int) -> None:
    device = tenant.issue("ex", expires_at=(datetime.now(UTC) + timedelta(seconds=2)).isoformat())
    ended = threading.Event()
    client = device.client()
    connect(client, port)
    client.on_disconnect = lambda *_: ended.set()
    assert ended.wait(5)
    client.loop_stop()
    assert not may_connect(device, port)
