"""A command from HTTP to a device on the hosted broker, and its answer back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deploy.local.stack import Stack
from tests.support.eventually import eventually_now
from tests.support.tenant import Device, Tenant, connect, disconnect

pytestmark = pytest.mark.system


@contextmanager
def listening(stack: Stack, device: Device, answer: bytes | None) -> Iterator[list[Any]]:
    """What the device hears; it answers each command on the topic that the command's id makes."""
    heard: list[Any] = []
    subscribed = threading.Event()
    client = device.client()
    client.on_subscribe = lambda *_: subscribed.set()

    def on_message(_client: Any, _data: Any, message: Any) -> None:
        heard.append(message)
        if answer is not None:
            id = message.topic.rpartition("/")[2]
            client.publish(device.topic(f"devices/boiler-7/responses/{id}"), answer, qos=1)

    client.on_message = on_message
    connect(client, stack.nats.ports.mqtt)
    client.subscribe(device.topic("commands/boiler-7/#"), qos=1)
    assert subscribed.wait(10)
    yield heard
    disconnect(client)


def test_a_device_hears_a_command_and_its_answer_is_the_calls(stack: Stack, tenant: Tenant) -> None:
    device = tenant.issue("boiler-7")
    with listening(stack, device, b'{"ok": true}') as heard:
        shown = tenant.post(
            "/devices/boiler-7/commands", {"name": "set", "payload": {"target": 65}, "wait_s": 20}
        )
    assert shown["state"] == "answered"
    assert shown["answer"]["payload"] == '{"ok": true}'
    [message] = heard
    assert (message.topic, message.payload, message.qos) == (shown["topic"], b'{"target":65}', 1)
    assert tenant.get(f"/devices/boiler-7/commands/{shown['id']}")["state"] == "answered"

    def listed() -> bool:
        items = tenant.get("/devices/boiler-7/commands")["items"]
        return [(item["id"], item["state"]) for item in items] == [(shown["id"], "answered")]

    eventually_now(listed)

    def told() -> bool:
        return "command.answered" in [item["kind"] for item in tenant.get("/activity")["items"]]

    eventually_now(told)
    rows = tenant.get("/telemetry", device_id="boiler-7")["items"]
    assert rows == [], "an answer is no reading"


def test_no_other_tenant_hears_or_sees_it(
    stack: Stack, tenant: Tenant, new_tenant: Callable[[str], Tenant]
) -> None:
    other = new_tenant("Other")
    with listening(stack, other.issue("boiler-7"), b"forged") as heard:
        shown = tenant.post("/devices/boiler-7/commands", {"name": "set", "payload": 1, "wait_s": 1})
        own = other.post("/devices/boiler-7/commands", {"name": "own", "payload": 1, "wait_s": 20})
    assert shown["state"] == "delivered"
    assert own["state"] == "answered"
    assert [message.topic for message in heard] == [own["topic"]]
    missing = other.http.get(f"/v1/devices/boiler-7/commands/{shown['id']}")
    assert missing.status_code == 404
