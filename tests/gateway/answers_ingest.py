"""What ingest answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from contracts import connection_test, links, publishing, webhook_deliveries
from contracts.calls import Call, Nothing, Page
from tests.gateway.callers import ALPHA, NOW, empty


async def tested(
    request: connection_test.TestConnection, tell: Callable[[connection_test.Step], Awaitable[None]]
) -> connection_test.ConnectionTested:
    ok = request.settings.host != "nowhere.example"
    steps = [connection_test.Step(name="dns", ok=ok, duration_ms=1.5, seen="203.0.113.7")]
    if ok:
        steps.append(connection_test.Step(name="mqtt", ok=True, duration_ms=2.5, seen="accepted"))
    else:
        failed = {"seen": "no such name", "code": "broker.unreachable", "next_action": "check the host"}
        steps[0] = steps[0].model_copy(update=failed)
    for step in steps:
        await tell(step)
    return connection_test.ConnectionTested(ok=ok, steps=tuple(steps))


def _published(_: publishing.Publish) -> publishing.Published:
    return publishing.Published(acknowledged=True, duration_ms=2.0)


def _batch_published(request: publishing.PublishBatch) -> publishing.BatchPublished:
    """The broker refuses what is for `refused`."""
    refused = publishing.PublishFailure(code="broker.refused", detail="Not authorized")
    outcomes = [
        publishing.Outcome(failure=refused)
        if message.topic.endswith("refused")
        else publishing.Outcome(acknowledged=message.qos > 0)
        for message in request.messages
    ]
    return publishing.BatchPublished(outcomes=tuple(outcomes), duration_ms=2.0)


INGEST: dict[Call[Any, Any], Callable[[Any], Any]] = {
    publishing.PUBLISH: _published,
    publishing.PUBLISH_BATCH: _batch_published,
}


LINKS: dict[Call[Any, Any], Callable[[Any], Any]] = {
    publishing.PUBLISH_TO_LINK.at(ALPHA, "int_1"): _published,
    publishing.PUBLISH_BATCH_TO_LINK.at(ALPHA, "int_1"): _batch_published,
    links.GET_STATUS.at(ALPHA, "int_1"): lambda _: links.LinkStatus(
        integration_id="int_1", state="up", since=NOW, owner="ingest-1"
    ),
}


CALLS_TO_WEBHOOKS: dict[Call[Any, Any], Callable[[Any], Any]] = {
    webhook_deliveries.CHECK_WEBHOOK_URL: lambda _: Nothing(),
    webhook_deliveries.GET_WEBHOOK_STATE: lambda _: webhook_deliveries.WebhookState(state="healthy"),
    webhook_deliveries.LIST_DELIVERIES: empty(Page[webhook_deliveries.WebhookDelivery]),
    webhook_deliveries.TEST_WEBHOOK: lambda _: webhook_deliveries.WebhookTested(
        ok=True, url="https://hooks.example", headers={}, body="{}", duration_ms=2.0, status=200
    ),
    webhook_deliveries.RETRY_DELIVERIES.at(ALPHA, "whk_1"): lambda _: webhook_deliveries.DeliveriesRetried(
        retried=1
    ),
}
