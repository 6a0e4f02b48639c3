"""Connection tests by HTTP: whole, and step by step as they happen."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from contracts import connection_test
from contracts.integrations import ChangeIntegration
from tests.gateway.peers import KEYS, Peers, bearer
from tests.gateway.problem_assertions import assert_problem
from tests.gateway.sse import Event, Stream

pytestmark = pytest.mark.asyncio(loop_scope="module")
GOOD = {"settings": {"host": "broker.example"}}
BAD = {"settings": {"host": "nowhere.example"}}
EVENTS = {"Accept": "text/event-stream"}


async def streamed(client: httpx.AsyncClient, url: str, body: Any) -> list[Event]:
    async with client.stream("POST", url, json=body, headers=EVENTS) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = Stream(response)
        events = []
        while (event := await stream.next()) is not None:
            events.append(event)
        return events


async def test_a_connection_test_shows_its_steps(alpha: httpx.AsyncClient, peers: Peers) -> None:
    for url, body in (("/v1/integrations/test", GOOD), ("/v1/integrations/int_1/test", None)):
        tested = await alpha.post(url, json=body)
        assert tested.status_code == 200
        assert [step["name"] for step in tested.json()["steps"]] == ["dns", "mqtt"]
    asked = peers.last(connection_test.TestConnection)
    assert (asked.integration, asked.secrets) == ("int_1", {})


async def test_an_unreachable_broker_is_a_502_with_the_step_that_failed(alpha: httpx.AsyncClient) -> None:
    problem = assert_problem(await alpha.post("/v1/integrations/test", json=BAD), "broker.unreachable")
    assert problem["step"] == "dns"
    assert problem["steps"][0]["next_action"] == "check the host"


async def test_steps_are_events_and_the_result_is_the_last(alpha: httpx.AsyncClient, peers: Peers) -> None:
    for url, body in (("/v1/integrations/test", GOOD), ("/v1/integrations/int_1/test", {})):
        *steps, result = await streamed(alpha, url, body)
        assert [(event.event, event.data["name"]) for event in steps] == [("step", "dns"), ("step", "mqtt")]
        assert result.event == "result"
        assert result.data == {"ok": True, "steps": [step.data for step in steps]}


async def test_a_test_that_fails_is_a_result_too(alpha: httpx.AsyncClient) -> None:
    step, result = await streamed(alpha, "/v1/integrations/test", BAD)
    assert step.data["code"] == "broker.unreachable"
    assert result.data == {"ok": False, "steps": [step.data]}


async def test_what_is_wrong_with_the_request_is_no_stream(alpha: httpx.AsyncClient) -> None:
    wrong = {"settings": {"host": "broker.example", "port": 0}}
    response = await alpha.post("/v1/integrations/test", json=wrong, headers=EVENTS)
    assert_problem(response, "request.invalid", "settings.port")
    response = await alpha.post("/v1/integrations/other/test", headers=EVENTS)
    assert_problem(response, "not_found")
    assert_problem(await alpha.post("/v1/integrations/hosted/test", headers=EVENTS), "integration.hosted")


async def test_the_probe_topic_goes_along(alpha: httpx.AsyncClient, peers: Peers) -> None:
    await alpha.post("/v1/integrations/test", json={**GOOD, "probe_topic": "hybridmq/test"})
    assert peers.last(connection_test.TestConnection).probe_topic == "hybridmq/test"
    await alpha.post("/v1/integrations/int_1/test", json={"probe_topic": "hybridmq/saved"})
    assert peers.last(connection_test.TestConnection).probe_topic == "hybridmq/saved"


@pytest.mark.parametrize("topic", ["a/#", "a/+", "a\0", "a*"])
async def test_a_probe_topic_that_is_none_is_refused(
    alpha: httpx.AsyncClient, peers: Peers, topic: str
) -> None:
    for url, body in (("/v1/integrations/test", GOOD), ("/v1/integrations/int_1/test", {})):
        response = await alpha.post(url, json={**body, "probe_topic": topic})
        assert_problem(response, "topic.invalid", "probe_topic")
    assert not [asked for asked in peers.asked if isinstance(asked, connection_test.TestConnection)]


async def test_a_saved_integration_is_tested_as_it_would_be_after_a_change(
    alpha: httpx.AsyncClient, peers: Peers
) -> None:
    """Nothing is saved; secrets that are not sent are left to whoever holds them."""
    body: dict[str, Any] = {
        "settings": {"host": "other.example", "port": 1884},
        "topics": [{"filter": "a/#"}],
    }
    assert (await alpha.post("/v1/integrations/int_1/test", json=body)).status_code == 200
    asked = peers.last(connection_test.TestConnection)
    assert (asked.integration, asked.settings.host, asked.settings.port) == ("int_1", "other.example", 1884)
    assert (asked.secrets, [each.filter for each in asked.topics]) == ({}, ["a/#"])
    body = {"settings": {"username": "u", "password": "hush"}}
    response = await alpha.post("/v1/integrations/int_1/test", json=body)
    assert "hush" not in response.text
    sent = peers.last(connection_test.TestConnection).secrets
    assert {name: value.get_secret_value() for name, value in sent.items()} == {"password": "hush"}
    assert not [each for each in peers.asked if isinstance(each, ChangeIntegration)]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"port": 0}, "settings.port"),
        ({"colour": "red"}, "settings.colour"),
        ({"host": "[::1]"}, "settings.host"),
        ({"auth": "azure_sas", "protocol": "mqtts", "device_id": "d"}, "settings.shared_access_key"),
    ],
    ids=["port", "unknown", "brackets", "secret"],
)
async def test_a_change_that_could_not_be_saved_is_not_tested(
    alpha: httpx.AsyncClient, peers: Peers, settings: dict[str, Any], field: str
) -> None:
    response = await alpha.post("/v1/integrations/int_1/test", json={"settings": settings})
    assert_problem(response, "request.invalid", field)
    assert not peers.count(connection_test.TestConnection)


async def test_another_organizations_secrets_are_tested_by_nobody_else(
    alpha: httpx.AsyncClient, http: httpx.AsyncClient, peers: Peers
) -> None:
    body = {"settings": {"host": "thief.example"}}
    response = await http.post("/v1/integrations/int_1/test", json=body, headers=bearer(KEYS.beta))
    assert_problem(response, "not_found")
    assert not peers.count(connection_test.TestConnection)
