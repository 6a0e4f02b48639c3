"""A tenant's own broker through HTTP: subscriptions, publishing, a command and its answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.conftest import MakeMosquitto
from tests.support.eventually import eventually_now
from tests.support.mosquitto import Mosquitto
from tests.support.tenant import Tenant, connect, disconnect

pytestmark = pytest.mark.system


@pytest.fixture
def broker(mosquitto: MakeMosquitto) -> Mosquitto:
    return mosquitto()


@contextmanager
def device(broker: Mosquitto, filter: str, answer: str | None = None) -> Iterator[list[Any]]:
    """What a device on the broker hears; it answers everything on `answer`."""
    heard: list[Any] = []
    subscribed = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_subscribe = lambda *_: subscribed.set()

    def on_message(_client: Any, _data: Any, message: Any) -> None:
        heard.append(message)
        if answer is not None:
            client.publish(answer, b'{"ok": true}', qos=1)

    client.on_message = on_message
    connect(client, broker.port)
    client.subscribe(filter, qos=2)
    assert subscribed.wait(10)
    yield heard
    disconnect(client)


def connected(tenant: Tenant, broker: Mosquitto, **settings: Any) -> str:
    body = {
        "name": f"plant {broker.port}",
        "settings": {"host": "127.0.0.1", "port": broker.port, **settings},
        "topics": [{"filter": "devices/+/telemetry", "qos": 1}],
    }
    id: str = tenant.post("/integrations", body)["id"]
    eventually_now(lambda: tenant.get(f"/integrations/{id}/status")["state"] == "up", timeout_s=20)
    return id


def test_a_subscription_is_in_force_within_a_second(tenant: Tenant, broker: Mosquitto) -> None:
    id = connected(tenant, broker)
    path = f"/integrations/{id}/subscriptions"
    tenant.post(path, {"filter": "more/#", "qos": 2})

    def granted() -> bool:
        return [each["state"] for each in tenant.get(path)["items"]] == ["granted", "granted"]

    begun = time.monotonic()
    eventually_now(granted)
    assert time.monotonic() - begun < 2  # a second, and one for a busy machine
    with device(broker, "never"):
        tenant.post(f"/integrations/{id}/publish", {"topic": "more/devices/d1/x", "payload": 1}, expect=200)

    def counted() -> bool:
        [first, more] = tenant.get(path)["items"]
        return (first["messages"], more["messages"]) == (0, 1) and more["last_message_at"] is not None

    eventually_now(counted)
    assert tenant.http.delete(f"/v1{path}", params={"filter": "more/#"}).status_code == 204
    assert [each["filter"] for each in tenant.get(path)["items"]] == ["devices/+/telemetry"]
    last = tenant.http.delete(f"/v1{path}", params={"filter": "devices/+/telemetry"})
    assert (last.status_code, last.json()["code"]) == (422, "request.invalid")


def test_what_is_published_is_answered_with_what_the_broker_said(tenant: Tenant, broker: Mosquitto) -> None:
    id = connected(tenant, broker, mqtt_version="5")
    unheard = tenant.post(
        f"/integrations/{id}/publish", {"topic": "lamp/set", "payload": "on", "qos": 1}, expect=200
    )
    assert (unheard["acknowledged"], unheard["remark"]) == (True, "No matching subscribers")
    with device(broker, "lamp/#") as heard:
        messages = [{"topic": f"lamp/{number}", "payload": number, "qos": 1} for number in range(100)]
        answer = tenant.post(
            f"/integrations/{id}/publish/batch",
            {"messages": [*messages, {"topic": "lamp/#", "payload": 1}]},
            expect=200,
        )
        assert (answer["published"], answer["failed"]) == (100, 1)
        assert answer["results"][-1]["error"]["code"] == "topic.invalid"
        eventually_now(lambda: len(heard) == 100)
    assert [message.topic for message in heard] == [message["topic"] for message in messages]


def test_a_command_to_a_device_of_it_is_answered(tenant: Tenant, broker: Mosquitto) -> None:
    id = connected(tenant, broker)
    with device(broker, "commands/d1/#", answer="devices/d1/ack") as heard:
        shown = tenant.post(
            "/devices/d1/commands",
            {
                "name": "set",
                "payload": {"target": 65},
                "integration_id": id,
                "response_topic": "devices/d1/ack",
                "wait_s": 20,
            },
        )
    assert shown["state"] == "answered"
    assert shown["answer"]["payload"] == '{"ok": true}'
    assert [message.topic for message in heard] == [f"commands/d1/set/{shown['id']}"]


def test_another_tenant_reaches_nothing_of_it(
    tenant: Tenant, new_tenant: Callable[[str], Tenant], broker: Mosquitto
) -> None:
    id = connected(tenant, broker)
    other = new_tenant("Other")
    with device(broker, "#") as heard:
        for method, path, body in (
            ("POST", f"/v1/integrations/{id}/publish", {"topic": "x", "payload": 1}),
            ("POST", f"/v1/integrations/{id}/publish/batch", {"messages": [{"topic": "x", "payload": 1}]}),
            ("GET", f"/v1/integrations/{id}/subscriptions", None),
            ("POST", f"/v1/integrations/{id}/subscriptions", {"filter": "x"}),
            ("DELETE", f"/v1/integrations/{id}/subscriptions?filter=devices/%2B/telemetry", None),
            ("POST", "/v1/devices/d1/commands", {"name": "x", "payload": 1, "integration_id": id}),
        ):
            refused = other.http.request(method, path, json=body)
            assert (refused.status_code, refused.json()["code"]) == (404, "not_found"), path
        tenant.post(f"/integrations/{id}/publish", {"topic": "end", "payload": 1, "qos": 1}, expect=200)
        eventually_now(lambda: bool(heard))
    assert [message.topic for message in heard] == ["end"]
