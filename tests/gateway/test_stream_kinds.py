"""GET /v1/stream by kinds and filters: what comes, in which order, and whose."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from nats.aio.client import Client as NatsClient

from contracts import subjects
from contracts.activity import ActivityRecorded
from contracts.alerts import AlertOpened
from contracts.envelope import Cause, encode
from contracts.envelope import Event as LogEvent
from contracts.secrets_format import mint
from deploy.local.nats import NatsServer
from tests.gateway.peers import ALPHA, BETA, KEYS, bearer
from tests.gateway.problem_assertions import assert_problem
from tests.gateway.sse import opened
from tests.support.clients import platform_client

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def telemetry(provisioned_nats: NatsServer) -> AsyncIterator[NatsClient]:
    """Writes activity and alerts as the telemetry service may."""
    async with platform_client(provisioned_nats, "telemetry") as client:
        yield client


async def write(client: NatsClient, subject: str, event: LogEvent) -> int:
    headers, body = encode(
        event, id=mint("key"), time=datetime.now(UTC), cause=Cause("telemetry", "telemetry")
    )
    answer = await client.request(subject, body, headers=headers, timeout=5)
    return int(json.loads(answer.data)["seq"])


async def happened(client: NatsClient, kind: str, organization: str = ALPHA, **more: Any) -> int:
    event = ActivityRecorded(kind=kind, summary="it happened", **more)
    return await write(client, subjects.activity(organization, kind), event)


async def alerted(client: NatsClient, device: str, organization: str = ALPHA) -> int:
    event = AlertOpened(
        rule_id="rule_1",
        rule_name="Hot",
        kind="threshold",
        severity="warning",
        device_id=device,
        metric="temperature",
        summary="temperature is 90",
        since=datetime.now(UTC),
    )
    return await write(client, subjects.alert(organization, "alert_" + "0" * 24), event)


async def ingest(client: httpx.AsyncClient, payload: object, topic: str = "devices/d1/telemetry") -> int:
    response = await client.post("/v1/ingest", json={"topic": topic, "payload": payload})
    assert response.status_code == 202, response.text
    return int(response.json()["sequence"])


async def test_every_kind_comes_with_its_own_event(alpha: httpx.AsyncClient, telemetry: NatsClient) -> None:
    async with opened(alpha, kind=["messages", "readings", "presence", "activity", "alerts"]) as stream:
        sequence = await ingest(alpha, {"temperature": 90})
        message, readings = await stream.take(2)
        assert (message.event, readings.event) == ("message", "readings")
        assert message.data["sequence"] == readings.data["sequence"] == sequence
        await happened(telemetry, "device.connected", device_id="d1")
        activity, presence = await stream.take(2)
        assert (activity.event, activity.data["kind"]) == ("activity", "device.connected")
        assert (presence.event, presence.data["online"], presence.data["reason"]) == (
            "presence",
            True,
            "connected",
        )
        await alerted(telemetry, "d1")
        (alert,) = await stream.take(1)
    assert (alert.event, alert.data["event"], alert.data["severity"]) == ("alert", "opened", "warning")
    assert len({event.id for event in (message, readings, activity, presence, alert)}) == 5


async def test_filters_narrow_what_comes(alpha: httpx.AsyncClient, telemetry: NatsClient) -> None:
    wanted = {"kind": ["readings", "activity", "alerts"], "device_id": ["d2"], "metric": ["t"]}
    async with opened(alpha, **wanted) as stream:  # type: ignore[arg-type]
        await ingest(alpha, {"t": 1})
        await ingest(alpha, {"h": 1}, "devices/d2/telemetry")
        await happened(telemetry, "device.connected", device_id="d1")
        await alerted(telemetry, "d1")
        await happened(telemetry, "device.connected", device_id="d2")
        (activity,) = await stream.take(1)
        await ingest(alpha, {"t": 2, "h": 3}, "devices/d2/telemetry")
        (readings,) = await stream.take(1)
    assert activity.data["device_id"] == "d2"
    assert readings.data["readings"][0]["metrics"] == {"t": 2}


async def test_a_topic_filter_is_an_mqtt_filter(alpha: httpx.AsyncClient) -> None:
    async with opened(alpha, topic=["devices/+/status", f"{ALPHA}/devices/d9/#"]) as stream:
        await ingest(alpha, {"n": 1}, "devices/d1/telemetry")
        wanted = [
            await ingest(alpha, "online", "devices/d1/status"),
            await ingest(alpha, {"n": 2}, "devices/d9/telemetry"),
        ]
        assert [event.id for event in await stream.take(2)] == wanted


async def test_no_organization_hears_of_anothers_activity_and_alerts(
    alpha: httpx.AsyncClient, beta: httpx.AsyncClient, telemetry: NatsClient
) -> None:
    async with opened(alpha, kind=["activity", "alerts", "presence"]) as stream:
        await happened(telemetry, "device.connected", BETA, device_id="d1")
        await alerted(telemetry, "d1", BETA)
        await happened(telemetry, "link.up", ALPHA)
        (event,) = await stream.take(1)
    assert event.data["kind"] == "link.up"
    after = str(event.id)
    async with opened(beta, after=after, kind=["activity", "alerts", "presence"]) as stream:
        await happened(telemetry, "link.down", BETA)
        heard = [event.data.get("kind") for event in await stream.take(1)]
        while heard[-1] != "link.down":  # its own alert, where ours was said before that was read
            heard += [event.data.get("kind") for event in await stream.take(1)]
    assert "link.up" not in heard


async def test_several_logs_are_resumed_together(alpha: httpx.AsyncClient, telemetry: NatsClient) -> None:
    kinds = ["messages", "readings", "activity"]
    async with opened(alpha, kind=kinds) as stream:
        await ingest(alpha, {"n": 0})
        first, _ = await stream.take(2)
    await happened(telemetry, "link.up")
    await ingest(alpha, {"n": 1})
    await happened(telemetry, "link.down")
    async with opened(alpha, after=first.id, kind=kinds) as stream:
        rest = await stream.take(5)  # the readings of the first message, too: it had only the message
        await ingest(alpha, {"n": 2})
        live = await stream.take(2)
    assert [event.event for event in rest] == ["readings", "message", "readings", "activity", "activity"]
    assert [event.data["kind"] for event in rest[3:]] == ["link.up", "link.down"]
    assert [event.data["readings"][0]["metrics"]["n"] for event in rest[:3]] == [0, 1, 1]
    assert [event.event for event in live] == ["message", "readings"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"kind": "everything"}, "kind"),
        ({"topic": "a/#/b"}, "topic"),
        ({"kind": "activity", "metric": "t"}, "metric"),
        ({"device_id": "x" * 300}, "device_id"),
        ({"devices": "d1"}, "devices"),
    ],
)
async def test_an_invalid_filter_is_refused(
    alpha: httpx.AsyncClient, query: dict[str, str], field: str
) -> None:
    assert_problem(await alpha.get("/v1/stream", params=query), "request.invalid", field)


async def test_a_key_that_may_not_read_is_refused(alpha: httpx.AsyncClient) -> None:
    response = await alpha.get("/v1/stream", headers=bearer(KEYS.alpha_publish))
    assert_problem(response, "scope.missing")
    assert response.status_code == 403


async def test_bytes_that_are_no_text_come_as_base64(alpha: httpx.AsyncClient) -> None:
    async with opened(alpha) as stream:
        body = {"topic": "devices/d1/telemetry", "payload_base64": base64.b64encode(b"\xff\xfe").decode()}
        assert (await alpha.post("/v1/ingest", json=body)).status_code == 202
        (event,) = await stream.take(1)
    assert base64.b64decode(event.data["payload"]) == b"\xff\xfe"
