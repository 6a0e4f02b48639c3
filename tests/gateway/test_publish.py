"""Batches to publish, by HTTP: a result for each, and what may go at once."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from contracts.failures import Unavailable
from contracts.publishing import PUBLISH_BATCH, PUBLISH_BATCH_TO_LINK, PublishBatch
from tests.gateway.peers import ALPHA, BETA, Peers
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOSTED, OWN = "/v1/integrations/hosted/publish/batch", "/v1/integrations/int_1/publish/batch"


async def post(http: httpx.AsyncClient, *messages: dict[str, Any], path: str = HOSTED) -> httpx.Response:
    return await http.post(path, json={"messages": messages})


async def test_each_message_has_its_result_in_its_place(alpha: httpx.AsyncClient, peers: Peers) -> None:
    response = await post(
        alpha,
        {"topic": "commands/d1/a", "payload": 1, "qos": 1},
        {"topic": "commands/d1/+", "payload": 1},
        {"topic": "commands/d1/refused", "payload": 1, "qos": 1},
        {"topic": f"{BETA}/commands/d1/a", "payload": 1},
        {"topic": "commands/d1/b", "payload": "x" * (256 * 1024 + 1)},
        {"topic": "commands/d1/c"},
        {"topic": "commands/d1/d", "payload_base64": "AP8=", "retain": True},
    )
    assert response.status_code == 200
    shown = response.json()
    codes = [(each["error"] or {}).get("code") for each in shown["results"]]
    assert codes == [
        None,
        "topic.invalid",
        "broker.refused",
        "topic.forbidden",
        "payload.too_large",
        "request.invalid",
        None,
    ]
    assert (shown["published"], shown["failed"]) == (2, 5)
    assert [each["acknowledged"] for each in shown["results"]] == [True, *[False] * 6]
    asked = peers.last(PublishBatch)
    assert [message.topic for message in asked.messages] == [
        f"{ALPHA}/commands/d1/{end}" for end in ("a", "refused", "d")
    ]
    assert asked.messages[-1].payload_bytes() == b"\x00\xff"


async def test_to_an_own_broker_it_goes_through_the_link(alpha: httpx.AsyncClient, peers: Peers) -> None:
    shown = (await post(alpha, {"topic": "plant/line 1", "payload": 1, "qos": 2}, path=OWN)).json()
    assert shown["published"] == 1
    assert peers.last(PublishBatch).integration == "int_1"


async def test_another_organizations_integration_is_not_found(beta: httpx.AsyncClient) -> None:
    assert_problem(await post(beta, {"topic": "a", "payload": 1}, path=OWN), "not_found")


async def test_where_nothing_can_be_sent_the_whole_is_refused(alpha: httpx.AsyncClient, peers: Peers) -> None:
    messages = [{"topic": "commands/+", "payload": 1}] * 3
    assert_problem(await post(alpha, *messages), "topic.invalid", "topic")
    assert not [each for each in peers.asked if isinstance(each, PublishBatch)]


async def test_a_link_that_is_down_refuses_the_whole(alpha: httpx.AsyncClient, peers: Peers) -> None:
    peers.refuse(PUBLISH_BATCH_TO_LINK.at(ALPHA, "int_1"), Unavailable("link.down", "not connected"))
    assert_problem(await post(alpha, {"topic": "a", "payload": 1}, path=OWN), "link.down")


async def test_a_thousand_messages_go_at_once_and_no_more(alpha: httpx.AsyncClient, peers: Peers) -> None:
    message = {"topic": "commands/d1/a", "payload": {"n": 1}}
    assert (await post(alpha, *[message] * 1000)).json()["published"] == 1000
    assert_problem(await post(alpha, *[message] * 1001), "request.invalid", "messages")
    assert_problem(await post(alpha), "request.invalid", "messages")


async def test_together_they_have_a_limit_in_bytes(alpha: httpx.AsyncClient, peers: Peers) -> None:
    message = {"topic": "commands/d1/a", "payload": "x" * 64 * 1024}
    assert (await post(alpha, *[message] * 9)).status_code == 200
    assert_problem(await post(alpha, *[message] * 10), "request.too_large")
    assert_problem(await post(alpha, *[message] * 20), "request.too_large")


async def test_a_wrong_field_of_one_is_named(alpha: httpx.AsyncClient, peers: Peers) -> None:
    response = await post(alpha, {"topic": "a", "payload": 1}, {"topic": "a", "payload": 1, "qos": 3})
    assert_problem(response, "request.invalid", "messages.1.qos")


async def test_ingest_that_is_away_is_a_503(alpha: httpx.AsyncClient, peers: Peers) -> None:
    peers.refuse(PUBLISH_BATCH, Unavailable("service.unavailable", "try again"))
    response = await post(alpha, {"topic": "commands/d1/a", "payload": 1})
    assert_problem(response, "service.unavailable")
