"""Commands to devices by HTTP: what is queued, who may, and the wait for an answer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from contracts import device_commands, subjects
from contracts.broker_settings import broker_settings
from contracts.device_commands import (
    DeviceCommandAnswered,
    DeviceCommandDelivered,
    DeviceCommandQueued,
    DeviceCommandSent,
)
from contracts.envelope import Cause, Event
from contracts.failures import Unavailable
from contracts.integrations import GET_INTEGRATION, IntegrationView
from deploy.local.nats import NatsServer
from runtime import jetstream
from runtime.event_log import Append, EventLog
from tests.gateway.peers import ALPHA, KEYS, NOW, Peers, bearer
from tests.gateway.problem_assertions import assert_problem
from tests.support.certificates import Certificates
from tests.support.clients import platform_client

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/v1/devices/d1/commands"


@pytest_asyncio.fixture(loop_scope="module")
async def log(provisioned_nats: NatsServer) -> AsyncIterator[EventLog]:
    async with platform_client(provisioned_nats, "ingest") as client:
        yield EventLog(client, "COMMANDS")


async def queued(log: EventLog, id: str) -> DeviceCommandQueued:
    [recorded] = await log.read(subjects.device_command(ALPHA, id))
    assert isinstance(recorded.event, DeviceCommandQueued)
    assert recorded.actor == "key:key_alpha"
    return recorded.event


async def order(http: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await http.post(PATH, json={"name": "set", "payload": {"target": 65}, **body})


async def test_a_named_command_has_topics_of_its_own(alpha: httpx.AsyncClient, log: EventLog) -> None:
    response = await order(alpha)
    assert response.status_code == 201
    shown = response.json()
    id = shown["id"]
    assert (shown["state"], shown["payload"], shown["encoding"]) == ("queued", '{"target":65}', "utf-8")
    held = await queued(log, id)
    assert held.topic == shown["topic"] == f"{ALPHA}/commands/d1/set/{id}"
    assert held.response_topic == f"{ALPHA}/devices/d1/responses/{id}"
    assert (held.correlation_id, held.answer_expected, held.expires_in_s, held.qos) == (id, False, 60, 1)


async def test_a_topic_may_be_said_and_bytes_sent(alpha: httpx.AsyncClient, log: EventLog) -> None:
    body = {
        "topic": "commands/d1",
        "payload_base64": "AP8=",
        "response_topic": "devices/d1/ack",
        "retain": True,
    }
    response = await alpha.post(PATH, json=body)
    held = await queued(log, response.json()["id"])
    assert (held.topic, held.payload, held.retain) == (f"{ALPHA}/commands/d1", "AP8=", True)
    assert (held.response_topic, held.answer_expected) == (f"{ALPHA}/devices/d1/ack", True)


async def test_the_payloads_own_correlation_id_is_what_an_answer_carries(
    alpha: httpx.AsyncClient, log: EventLog
) -> None:
    response = await order(alpha, payload={"correlation_id": "mine"})
    assert (await queued(log, response.json()["id"])).correlation_id == "mine"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"name": None}, "request.invalid", "topic"),
        ({"topic": "commands/d1/x"}, "request.invalid", "topic"),
        ({"name": "a/b"}, "request.invalid", "name"),
        ({"name": None, "topic": "commands/d2/x"}, "topic.invalid", "topic"),
        ({"name": None, "topic": "devices/d1/x"}, "topic.invalid", "topic"),
        ({"name": None, "topic": "commands/d1/+"}, "topic.invalid", "topic"),
        ({"name": None, "topic": "org_beta000000000000/commands/d1/x"}, "topic.forbidden", "topic"),
        ({"response_topic": "org_beta000000000000/devices/d1/x"}, "topic.forbidden", "response_topic"),
        ({"response_topic": "devices/d2/x"}, "topic.invalid", "response_topic"),
        ({"response_topic": "devices/d1"}, "topic.invalid", "response_topic"),
        ({"response_topic": "devices/d1/#"}, "topic.invalid", "response_topic"),
        ({"wait_s": 31}, "request.invalid", "wait_s"),
        ({"wait_s": -1}, "request.invalid", "wait_s"),
        ({"expires_in_s": 0}, "request.invalid", "expires_in_s"),
        ({"expires_in_s": 86401}, "request.invalid", "expires_in_s"),
        ({"qos": 3}, "request.invalid", "qos"),
        ({"payload_base64": "AA=="}, "request.invalid", "payload"),
        ({"payload": "x" * (256 * 1024 + 1)}, "payload.too_large", "payload"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_field(
    alpha: httpx.AsyncClient, body: dict[str, Any], code: str, field: str
) -> None:
    assert_problem(await order(alpha, **body), code, field)


@pytest.mark.parametrize("device", ["a b", "-x", "a%2Fb", "a*", "é"])
async def test_no_command_goes_to_what_is_no_device(alpha: httpx.AsyncClient, device: str) -> None:
    response = await alpha.post(f"/v1/devices/{device}/commands", json={"name": "x", "payload": 1})
    assert response.status_code == 404


async def test_another_organizations_integration_is_not_found(
    alpha: httpx.AsyncClient, beta: httpx.AsyncClient
) -> None:
    assert (await order(alpha, integration_id="int_1")).status_code == 201
    assert_problem(await order(beta, integration_id="int_1"), "not_found")
    assert_problem(await order(alpha, integration_id="int_2"), "not_found")


async def test_on_ones_own_broker_topics_are_as_they_are_said(
    alpha: httpx.AsyncClient, log: EventLog
) -> None:
    body = {
        "topic": "plant/line 1",
        "response_topic": "plant/$ack",
        "payload": "on",
        "integration_id": "int_1",
    }
    held = await queued(log, (await alpha.post(PATH, json=body)).json()["id"])
    assert (held.topic, held.response_topic) == ("plant/line 1", "plant/$ack")
    named = await order(alpha, integration_id="int_1")
    id = named.json()["id"]
    held = await queued(log, id)
    assert (held.topic, held.response_topic) == (f"commands/d1/set/{id}", f"devices/d1/responses/{id}")


async def test_ones_own_broker_may_call_a_device_anything(alpha: httpx.AsyncClient, log: EventLog) -> None:
    body = {"topic": "plant/7/set", "payload": "on", "integration_id": "int_1"}
    ordered = await alpha.post("/v1/devices/plant%2F7/commands", json=body)
    held = await queued(log, ordered.json()["id"])
    assert (held.device_id, held.topic) == ("plant/7", "plant/7/set")
    assert_problem(await alpha.post(f"/v1/devices/{'x' * 129}/commands", json=body), "not_found")


async def test_what_a_provider_would_hang_up_on_is_refused(
    alpha: httpx.AsyncClient, peers: Peers, certificates: Certificates
) -> None:
    settings = broker_settings(
        auth="aws_iot",
        protocol="mqtts",
        host="x.iot.eu-west-1.amazonaws.com",
        tls={"client_certificate": certificates.client.read_text()},
    )

    async def aws(request: Any) -> IntegrationView:
        return IntegrationView(
            id=request.id, name="a", broker_type="external", settings=settings, created_at=NOW
        )

    peers.answers[GET_INTEGRATION.subject] = aws
    assert_problem(await order(alpha, integration_id="int_1", qos=2), "topic.invalid", "qos")


async def test_the_same_key_again_is_the_same_command(alpha: httpx.AsyncClient, log: EventLog) -> None:
    key = {"Idempotency-Key": "once"}
    body = {"name": "set", "payload": 1}
    first = await alpha.post(PATH, json=body, headers=key)
    again = await alpha.post(PATH, json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    await queued(log, first.json()["id"])  # there is one event
    assert_problem(await alpha.post(PATH, json={**body, "payload": 2}, headers=key), "idempotency.reused")
    other = await alpha.post("/v1/devices/d2/commands", json=body, headers=key)
    assert other.json()["id"] != first.json()["id"]


async def test_the_same_key_of_another_organization_is_another_command(
    alpha: httpx.AsyncClient, beta: httpx.AsyncClient
) -> None:
    key = {"Idempotency-Key": "shared"}
    ids = {
        (await each.post(PATH, json={"name": "a", "payload": 1}, headers=key)).json()["id"]
        for each in (alpha, beta)
    }
    assert len(ids) == 2


async def follow(log: EventLog, before: int, *events: Event) -> str:
    """Appends these to the first command that comes after the sequence `before`."""
    while True:
        found = await jetstream.direct_batch(
            log._client,
            "COMMANDS",
            {"seq": before + 1, "next_by_subj": f"device-command.{ALPHA}.>", "batch": 1},
        )
        if found:
            break
        await asyncio.sleep(0.01)
    headers = found[0].headers or {}
    subject, expected = headers["Nats-Subject"], int(headers["Nats-Sequence"])
    for event in events:
        append = Append(subject, event, expected)
        [done] = await log.append([append], cause=Cause("ingest", "ingest"), now=datetime.now(UTC))
        expected = done.sequence
    return subject


async def last(log: EventLog) -> int:
    return (await jetstream.stream_state(log._client, "COMMANDS")).last


async def test_with_wait_s_the_answer_is_in_the_response(alpha: httpx.AsyncClient, log: EventLog) -> None:
    answered = DeviceCommandAnswered(topic="t", payload=base64.b64encode(b'{"ok":true}').decode(), message=9)
    events = (DeviceCommandSent(attempt=1), DeviceCommandDelivered(), answered)
    before = await last(log)
    response, _ = await asyncio.gather(order(alpha, wait_s=10), follow(log, before, *events))
    shown = response.json()
    assert shown["state"] == "answered"
    assert shown["answer"] == {"topic": "t", "payload": '{"ok":true}', "encoding": "utf-8", "message": 9}


async def test_without_an_answer_in_time_the_command_is_shown_as_it_stands(
    alpha: httpx.AsyncClient, log: EventLog
) -> None:
    before = await last(log)
    events = (DeviceCommandSent(attempt=1), DeviceCommandDelivered(remark="No matching subscribers"))
    response, _ = await asyncio.gather(order(alpha, wait_s=1), follow(log, before, *events))
    assert response.status_code == 201
    assert (response.json()["state"], response.json()["remark"]) == ("delivered", "No matching subscribers")


async def test_one_organizations_waits_are_bounded(alpha: httpx.AsyncClient, beta: httpx.AsyncClient) -> None:
    waits = [order(alpha, wait_s=2) for _ in range(60)]
    responses = await asyncio.gather(*waits, order(beta, wait_s=0.5))
    refused = [each for each in responses[:-1] if each.status_code == 429]
    assert len(refused) == 10
    assert_problem(refused[0], "limit.reached")
    assert responses[-1].status_code == 201


async def test_lists_and_looks_are_telemetrys(alpha: httpx.AsyncClient, peers: Peers) -> None:
    assert (await alpha.get(PATH, params={"state": "sent", "limit": 5})).status_code == 200
    asked = peers.last(device_commands.ListDeviceCommands)
    assert (asked.organization, asked.device_id, asked.state, asked.limit) == (ALPHA, "d1", "sent", 5)
    assert (await alpha.get(f"{PATH}/cmd_1")).json()["id"] == "cmd_1"
    assert peers.last(device_commands.GetDeviceCommand).device_id == "d1"
    assert_problem(await alpha.get(PATH, params={"state": "odd"}), "request.invalid", "state")


async def test_another_organizations_command_is_not_found(beta: httpx.AsyncClient) -> None:
    assert_problem(await beta.get(f"{PATH}/cmd_1"), "not_found")


async def test_while_the_read_model_is_away_it_says_so(alpha: httpx.AsyncClient, peers: Peers) -> None:
    peers.refuse(device_commands.GET_DEVICE_COMMAND, Unavailable("store.unavailable"))
    assert_problem(await alpha.get(f"{PATH}/cmd_1"), "store.unavailable")


async def test_to_order_takes_the_scope_publish(http: httpx.AsyncClient, peers: Peers) -> None:
    body = {"name": "set", "payload": 1}
    read = await http.post(PATH, json=body, headers=bearer(KEYS.alpha_read))
    assert_problem(read, "scope.missing")
    assert (await http.post(PATH, json=body, headers=bearer(KEYS.alpha_publish))).status_code == 201
