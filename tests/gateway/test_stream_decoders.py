"""The live stream reads each message as its integration says."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from contracts import messages, subjects
from contracts.broker_settings import broker_settings
from contracts.decoders.choice import SETTLES_NS
from contracts.envelope import Cause, Event
from contracts.integrations import DecoderChoice, HostedIntegrationChanged, IntegrationCreated
from deploy.local.nats import NatsServer
from runtime.event_log import Append, EventLog
from tests.contracts.sparkplug_dump import bd_seq, f64, metric, payload
from tests.gateway.peers import ALPHA
from tests.gateway.sse import opened
from tests.support.clients import platform_client

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Broker:
    """Integrations of alpha, and what comes in by them."""

    def __init__(self, registry: Any, ingest: Any) -> None:
        self._log, self._ingest = EventLog(registry, "REGISTRY"), ingest

    async def append(self, id: str, event: Event, last: int = 0) -> int:
        append = Append(subjects.registry(ALPHA, "integration", id), event, last)
        now = datetime.now(UTC)
        (recorded,) = await self._log.append([append], cause=Cause("admin", "credentials"), now=now)
        return recorded.sequence

    async def create(self, id: str, decoder: DecoderChoice, prefix: str | None = None) -> None:
        settings = broker_settings(host="broker.example", port=1883, topic_prefix=prefix)
        await self.append(id, IntegrationCreated(name=id, settings=settings, topics=(), decoder=decoder))
        await asyncio.sleep(0.3)  # the gateway hears it by another way than the message

    async def send(self, id: str, topic: str, data: bytes) -> None:
        headers = messages.headers(
            id=f"m{random.random()}",
            topic=topic,
            qos=1,
            retain=False,
            received=datetime.now(UTC),
            source=id,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        await self._ingest.request(subjects.message(ALPHA, id, None), data, headers=headers, timeout=5)


@pytest_asyncio.fixture(loop_scope="module")
async def broker(provisioned_nats: NatsServer) -> AsyncIterator[Broker]:
    async with (
        platform_client(provisioned_nats, "credentials") as registry,
        platform_client(provisioned_nats, "ingest") as ingest,
    ):
        yield Broker(registry, ingest)


async def test_an_integrations_decoder_settings_and_prefix_count(
    alpha: httpx.AsyncClient, broker: Broker
) -> None:
    await broker.create(
        "int_vmark", DecoderChoice(name="vmark", settings={"time_zone": "Europe/Berlin"}), "hub"
    )
    report = {"handle": "properties_report", "paras": {"t": 1}, "time": "2026-03-02_00:50:58.000"}
    async with opened(alpha) as stream:
        await broker.send("int_vmark", "hub/tag7/up", json.dumps(report).encode())
        event = await stream.next()
    assert event is not None
    (reading,) = event.data["readings"]
    assert (reading["device_id"], reading["timestamp"]) == ("tag7", "2026-03-01T23:50:58Z")


async def test_births_teach_from_the_streams_beginning(alpha: httpx.AsyncClient, broker: Broker) -> None:
    await broker.create("int_plug", DecoderChoice(name="sparkplug-b"))
    data = payload(metric(None, f64(13, 2.0), alias=1), seq=1)
    birth = payload(bd_seq(1), metric("t", f64(13, 1.0), alias=1, type=10), seq=0)
    async with opened(alpha) as stream:
        for type, sent in (
            ("NDATA", data),
            ("NBIRTH", birth),
            ("NDATA", data),
            ("NDEATH", payload(bd_seq(1))),
        ):
            await broker.send("int_plug", f"spBv1.0/plant/{type}/line4", sent)
        unknown, born, read, died = await stream.take(4)
    assert unknown.data["undecoded"] == "decoder.alias_unknown"
    assert "failure" not in unknown.data
    assert born.data["presence"] == {"device_id": "plant:line4", "online": True}
    assert read.data["readings"][0]["metrics"] == {"t": 2.0}
    assert died.data["presence"] == {"device_id": "plant:line4", "online": False}


async def test_what_only_telemetry_evaluates_comes_raw_and_says_so(
    alpha: httpx.AsyncClient, broker: Broker
) -> None:
    expression = {"language": "jmespath", "source": "{readings: payload}"}
    await broker.create("int_expression", DecoderChoice(name="custom", settings={"expression": expression}))
    async with opened(alpha) as stream:
        await broker.send("int_expression", "devices/d1/telemetry", b'{"t":1}')
        event = await stream.next()
    assert event is not None
    assert (event.data["undecoded"], event.data["readings"]) == ("decoder.unavailable", [])


async def test_the_hosted_brokers_decoder_counts_for_http_ingest(
    alpha: httpx.AsyncClient, broker: Broker
) -> None:
    text, standard = (
        HostedIntegrationChanged(name="Hosted", decoder=DecoderChoice(name=name))
        for name in ("text", "standard")
    )
    last = await broker.append("hosted", text)
    await asyncio.sleep(SETTLES_NS / 1e9 + 0.3)
    async with opened(alpha) as stream:
        body = {"topic": "devices/d1/telemetry", "payload": {"t": 1}}
        assert (await alpha.post("/v1/ingest", json=body)).status_code == 202
        event = await stream.next()
    await broker.append("hosted", standard, last)
    await asyncio.sleep(SETTLES_NS / 1e9 + 0.3)  # the other tests share the organization
    assert event is not None
    assert event.data["readings"][0]["metrics"] == {"telemetry": '{"t":1}'}
