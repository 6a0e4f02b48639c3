"""Subscriptions by HTTP: the wanted ones, with what the link says of each."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from contracts.broker_topics import TopicFilter
from contracts.failures import Unavailable
from contracts.links import GET_STATUS, LinkStatus, LinkSubscription
from contracts.subscriptions import AddSubscription, RemoveSubscription
from tests.gateway.peers import ALPHA, NOW, Peers
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/v1/integrations/int_1/subscriptions"
FILTER = "devices/+/telemetry"


def link_says(peers: Peers, *subscriptions: LinkSubscription) -> None:
    async def answer(_: Any) -> LinkStatus:
        return LinkStatus(
            integration_id="int_1", state="up", since=NOW, owner="i", subscriptions=subscriptions
        )

    peers.answers[GET_STATUS.at(ALPHA, "int_1").subject] = answer


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (LinkSubscription(filter=FILTER, qos=1, granted_qos=0, since=NOW, messages=7), "granted"),
        (LinkSubscription(filter=FILTER, qos=1, refused="Not authorized"), "refused"),
        (LinkSubscription(filter=FILTER, qos=1), "pending"),
        (LinkSubscription(filter="of yesterday", qos=1, granted_qos=1), "pending"),
    ],
)
async def test_each_is_shown_as_the_link_has_it(
    alpha: httpx.AsyncClient, peers: Peers, said: LinkSubscription, state: str
) -> None:
    link_says(peers, said)
    [shown] = (await alpha.get(PATH)).json()["items"]
    assert (shown["filter"], shown["qos"], shown["state"]) == (FILTER, 1, state)
    if state == "granted":
        assert (shown["granted_qos"], shown["messages"]) == (0, 7)
    if state == "refused":
        assert shown["reason"] == "Not authorized"


async def test_while_nobody_has_the_link_they_are_pending(alpha: httpx.AsyncClient, peers: Peers) -> None:
    peers.refuse(GET_STATUS.at(ALPHA, "int_1"), Unavailable("link.down"))
    assert [each["state"] for each in (await alpha.get(PATH)).json()["items"]] == ["pending"]


async def test_one_is_added_and_removed_by_its_filter(alpha: httpx.AsyncClient, peers: Peers) -> None:
    response = await alpha.post(PATH, json={"filter": "a/+/#", "qos": 2})
    assert response.status_code == 201
    assert response.json()["state"] == "pending"
    assert peers.last(AddSubscription).topic == TopicFilter(filter="a/+/#", qos=2)
    removed = await alpha.delete(PATH, params={"filter": "a/+/#"})
    assert removed.status_code == 204
    assert peers.last(RemoveSubscription).filter == "a/+/#"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"filter": "a/#/b"}, "filter"),
        ({"filter": ""}, "filter"),
        ({"filter": "a", "qos": 3}, "qos"),
        ({"qos": 1}, "filter"),
    ],
)
async def test_what_is_no_filter_is_refused(
    alpha: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    assert_problem(await alpha.post(PATH, json=body), "request.invalid", field)


async def test_to_remove_the_filter_must_be_said(alpha: httpx.AsyncClient) -> None:
    assert_problem(await alpha.delete(PATH), "request.invalid", "filter")
    assert_problem(await alpha.delete(PATH, params={"filter": "x" * 1025}), "request.invalid")


async def test_the_hosted_broker_has_none_to_choose(alpha: httpx.AsyncClient) -> None:
    assert_problem(await alpha.get("/v1/integrations/hosted/subscriptions"), "integration.hosted")


async def test_another_organizations_are_not_found(beta: httpx.AsyncClient) -> None:
    assert_problem(await beta.get(PATH), "not_found")
    assert_problem(await beta.post(PATH, json={"filter": "a"}), "not_found")
    assert_problem(await beta.delete(PATH, params={"filter": "a"}), "not_found")
