"""Webhooks on the whole platform: an alert that a rule opens, a subscription's messages, and nobody else's business."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from deploy.local.ports import LOOPBACK
from tests.conftest import MakeMosquitto
from tests.ingest.hooks import verified
from tests.support.eventually import eventually, eventually_now
from tests.support.mosquitto import Mosquitto
from tests.support.receiver import Receiver, receiving
from tests.support.tenant import Tenant

pytestmark = pytest.mark.system


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


def publish(broker: Mosquitto, topic: str, payload: bytes) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect(LOOPBACK, broker.port)
    client.loop_start()
    client.publish(topic, payload, qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


async def off_loop(work: Any, *arguments: Any, **fields: Any) -> Any:
    """Tenants speak without a loop; the receiver has to answer meanwhile."""
    return await asyncio.to_thread(work, *arguments, **fields)


def alert_soon(tenant: Tenant) -> None:
    """The rule for links that every organization has waits for half a minute."""
    soon = tenant.http.patch("/v1/alert-rules/links", json={"condition": {"kind": "link", "for_s": 1}})
    assert soon.status_code == 200, soon.text


async def test_an_integration_that_does_not_connect_is_told_by_alert_and_by_activity(
    tenant: Tenant, receiver: Receiver
) -> None:
    name = f"ops {receiver.port}"  # another one, should this run once more
    body = {"name": name, "url": receiver.url, "events": ["alert.opened", "link.*"]}
    made = await off_loop(tenant.post, "/webhooks", body)
    await off_loop(alert_soon, tenant)
    settings = {"host": LOOPBACK, "port": 1}
    await off_loop(tenant.post, "/integrations", {"name": f"nowhere {name}", "settings": settings})
    types = await eventually(lambda: _types(receiver, "alert.opened"), timeout_s=90)
    assert all(each == "alert.opened" or each.startswith("link.") for each in types)
    assert all(verified(made["secret"], call) for call in receiver.calls)
    alert = next(call.json["data"] for call in receiver.calls if call.json["type"] == "alert.opened")
    shown = (await off_loop(tenant.get, f"/alerts/{alert['alert_id']}"))["summary"]
    assert alert["summary"] == shown
    await off_loop(tenant.http.delete, f"/v1/webhooks/{made['id']}")


def _types(receiver: Receiver, wanted: str) -> list[str]:
    types = [call.json["type"] for call in receiver.calls]
    return types if wanted in types else []


async def test_a_subscriptions_callback_gets_its_messages_and_ends_with_it(
    tenant: Tenant, receiver: Receiver, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    made = {
        "name": "plant with callback",
        "settings": {"host": LOOPBACK, "port": broker.port},
        "topics": [{"filter": "quiet/#"}],
    }
    id = (await off_loop(tenant.post, "/integrations", made))["id"]
    path = f"/integrations/{id}/subscriptions"
    wish = {"filter": "loud/+/x", "qos": 1, "callback_url": receiver.url}
    added = await off_loop(tenant.post, path, wish)
    assert added["secret"].startswith("whsec_")

    async def arrived() -> bool:
        await off_loop(publish, broker, "loud/7/x", b"heard")
        await off_loop(publish, broker, "quiet/7", b"not meant")
        await asyncio.sleep(0.2)
        return bool(receiver.calls)

    await eventually(arrived, timeout_s=60)
    told = [message for call in receiver.calls for message in call.messages]
    assert {(each["topic"], each["payload"], each["integration_id"]) for each in told} == {
        ("loud/7/x", "heard", id)
    }
    assert all(verified(added["secret"], call) for call in receiver.calls)
    listed = (await off_loop(tenant.get, path))["items"]
    callbacks = {each["filter"]: (each["callback_url"], each["webhook_id"]) for each in listed}
    assert callbacks == {"quiet/#": (None, None), "loud/+/x": (receiver.url, added["webhook_id"])}
    gone = await off_loop(tenant.http.delete, f"/v1{path}", params={"filter": "loud/+/x"})
    assert gone.status_code == 204, gone.text
    found = await off_loop(tenant.http.get, f"/v1/webhooks/{added['webhook_id']}")
    assert found.status_code == 404


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://10.0.0.1/hook", "address.forbidden"),
        ("https://169.254.169.254/latest", "address.forbidden"),
        ("http://1.1.1.1/hook", "webhook.insecure"),
        ("ftp://hooks.example.com/", "request.invalid"),
    ],
)
def test_an_address_that_may_not_be_called_is_refused_when_it_is_saved(
    tenant: Tenant, url: str, code: str
) -> None:
    answer = tenant.http.post("/v1/webhooks", json={"name": "x", "url": url, "events": ["*"]})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["errors"][0]["field"] == "url"


def test_no_other_organization_sees_or_moves_a_webhook(tenant: Tenant, new_tenant: Any) -> None:
    made = tenant.post("/webhooks", {"name": "mine", "url": "http://127.0.0.1:1/", "events": ["*"]})
    stranger: Tenant = new_tenant("Stranger")
    one = f"/v1/webhooks/{made['id']}"
    for method, path in (
        ("GET", one),
        ("PATCH", one),
        ("DELETE", one),
        ("POST", f"{one}/rotate"),
        ("POST", f"{one}/pause"),
        ("POST", f"{one}/resume"),
        ("POST", f"{one}/test"),
        ("GET", f"{one}/deliveries"),
        ("POST", f"{one}/deliveries/retry"),
        ("POST", f"{one}/deliveries/msg_1/retry"),
    ):
        body = {"name": "theirs"} if method == "PATCH" else None
        answer = stranger.http.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    assert stranger.get("/webhooks")["items"] == []
    assert tenant.get(f"/webhooks/{made['id']}")["name"] == "mine"


def test_one_is_changed_paused_and_resumed_by_http(tenant: Tenant) -> None:
    wish = {"name": "steered", "url": "http://127.0.0.1:1/", "events": ["*"], "integration_id": "hosted"}
    id = tenant.post("/webhooks", wish)["id"]
    changed = tenant.http.patch(
        f"/v1/webhooks/{id}", json={"integration_id": None, "events": ["message"]}
    ).json()
    assert (changed["integration_id"], changed["events"], changed["name"]) == (None, ["message"], "steered")
    assert tenant.post(f"/webhooks/{id}/pause", None, expect=200)["paused"] == "person"
    assert tenant.get(f"/webhooks/{id}")["delivery"]["state"] == "paused"
    refused = tenant.http.post(f"/v1/webhooks/{id}/deliveries/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook.paused")
    assert tenant.post(f"/webhooks/{id}/resume", {"skip_backlog": True}, expect=200)["paused"] is None
    told = {"webhook.created", "webhook.changed", "webhook.paused", "webhook.resumed"}
    eventually_now(lambda: told <= {each["kind"] for each in tenant.get("/activity", limit=200)["items"]})
