"""Alerts and webhooks by the API: what is wrong in a request is named as its sender wrote it."""

import httpx
import pytest

from contracts.webhooks import ChangeWebhook, CreateWebhook
from tests.gateway.peers import Peers
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOOK = {"name": "ops", "url": "https://hooks.example.com/"}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/alerts?state=ajar", "state"),
        ("/v1/alerts?severity=awful", "severity"),
        ("/v1/dead-letters?state=lost", "state"),
        ("/v1/alerts?limit=many", "limit"),
    ],
)
async def test_a_filter_that_cannot_be_is_named_as_it_was_given(
    alpha: httpx.AsyncClient, path: str, field: str
) -> None:
    assert_problem(await alpha.get(path), "request.invalid", field)


@pytest.mark.parametrize("events", [["*"], ["message"], ["alert.*", "link.down"], ["log.epoch_changed"]])
async def test_a_webhook_hears_kinds_that_there_are(
    alpha: httpx.AsyncClient, peers: Peers, events: list[str]
) -> None:
    assert (await alpha.post("/v1/webhooks", json={**HOOK, "events": events})).status_code == 201
    assert list(peers.last(CreateWebhook).settings.events) == events


@pytest.mark.parametrize("kind", ["alerts.*", "link.dwon", "nothing.*", "message.*", "link", "link.down.*"])
async def test_a_kind_that_never_happens_is_refused(
    alpha: httpx.AsyncClient, peers: Peers, kind: str
) -> None:
    body = {"events": ["alert.*", kind]}
    for answer in (
        await alpha.post("/v1/webhooks", json={**HOOK, **body}),
        await alpha.patch("/v1/webhooks/whk_1", json=body),
    ):
        assert_problem(answer, "request.invalid", "events")
        assert kind in answer.json()["detail"]
    assert not any(isinstance(each, ChangeWebhook) for each in peers.asked)
