"""A preview by the running service: what would come out, or why not."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.decoder_previews import (
    CHECK_DECODER,
    PREVIEW_DECODER,
    READINGS_SHOWN,
    CheckDecoder,
    DecoderPreview,
    Earlier,
    PreviewDecoder,
)
from contracts.decoders import REGISTRY
from contracts.failures import Refused
from contracts.integrations import DecoderChoice
from contracts.streams import PAYLOAD_BYTES_MAX
from tests.contracts.sparkplug_dump import f64, metric, payload
from tests.telemetry.world import World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def preview(
    here: World,
    content: Any,
    decoder: str = "standard",
    topic: str = "devices/s1/telemetry",
    settings: dict[str, Any] | None = None,
    **more: Any,
) -> DecoderPreview:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    query = PreviewDecoder(
        organization="org_a",
        decoder=DecoderChoice(name=decoder, settings=settings or {}),
        topic=topic,
        payload=base64.b64encode(data).decode(),
        received_at=NOW,
        **more,
    )
    return await here.ask(PREVIEW_DECODER, query)


async def test_what_would_come_out_is_shown_with_its_flags(here: World) -> None:
    found = await preview(here, {"type": "t", "value": 21.5, "units": "Cel", "time": "2030-01-01T00:00:00Z"})
    assert found.outcome == "readings"
    (sample,) = found.samples
    assert (sample.device_id, sample.timestamp, sample.flags) == ("s1", NOW, ("time_future",))
    assert [tuple(reading.model_dump().values()) for reading in sample.readings] == [("t", 21.5, "Cel")]


@pytest.mark.parametrize("name", sorted(REGISTRY))
async def test_every_decoder_reads_its_own_example(here: World, name: str) -> None:
    example = REGISTRY[name].example
    found = await preview(here, example.payload, name, example.topic)
    assert found.outcome == ("nothing" if name == "raw" else "readings"), found


async def test_a_dead_letter_to_be_is_an_answer_that_says_where(here: World) -> None:
    found = await preview(here, b"\xa1\x61a", "cbor")
    assert found.outcome == "dead_letter"
    assert found.failure is not None
    assert (found.failure.code, found.failure.field) == ("payload.not_cbor", "byte 3")
    assert found.failure.title == "The payload is not valid CBOR"


async def test_presence_and_the_reply_are_shown(here: World) -> None:
    found = await preview(here, b"offline", topic="devices/s1/status")
    assert (found.outcome, found.presence[0].online, found.presence[0].word) == ("presence", False, "offline")
    report = {"device": "d", "handle": "properties_report", "paras": {"t": 1}}
    replied = (await preview(here, report, "vmark", "hub/up")).reply
    assert replied is not None
    assert (replied.topic, replied.payload) == ("hub/up_reply", '{"result":0}')


async def test_the_prefix_and_the_hosted_broker_count(here: World) -> None:
    assert (await preview(here, 1, topic="plant/p7/x", prefix="plant")).samples[0].device_id == "p7"
    hosted = await preview(here, {"device": "other", "t": 1}, topic="org_a/devices/d7/telemetry", hosted=True)
    assert hosted.samples[0].device_id == "d7"
    assert (await preview(here, 1, topic="org_a/devices/d7/log", hosted=True)).outcome == "nothing"


async def test_births_can_be_sent_along(here: World) -> None:
    data = payload(metric(None, f64(13, 2.0), alias=1))
    topic = "spBv1.0/plant/NDATA/line4"
    alone = await preview(here, data, "sparkplug-b", topic)
    assert alone.failure is not None
    assert alone.failure.code == "decoder.alias_unknown"
    birth = base64.b64encode(payload(metric("t", f64(13, 1.0), alias=1, type=10))).decode()
    earlier = (Earlier(topic="spBv1.0/plant/NBIRTH/line4", payload=birth),)
    found = await preview(here, data, "sparkplug-b", topic, preceding=earlier)
    assert found.samples[0].readings[0].metric == "t"


async def test_an_expression_is_evaluated(here: World) -> None:
    settings = {
        "expression": {"language": "jmespath", "source": "{device_id: payload.d, readings: payload.v}"}
    }
    found = await preview(here, {"d": "S9", "v": {"t": 1}}, "custom", "x/y", settings)
    assert found.samples[0].device_id == "S9", found


async def test_a_large_message_is_read_whole_and_shown_in_part(here: World) -> None:
    found = await preview(here, {f"m{number}": number for number in range(1000)})
    assert (found.readings, len(found.samples[0].readings)) == (1000, READINGS_SHOWN)
    texts = {f"{'m' * 250}{number}": "\N{SNOWMAN}" * 200 for number in range(250)}
    assert (await preview(here, json.dumps(texts, ensure_ascii=False).encode())).readings == 250
    too_large = await preview(here, b"1" * (PAYLOAD_BYTES_MAX + 1))
    assert too_large.failure is not None
    assert too_large.failure.code == "payload.too_large"


@pytest.mark.parametrize(
    ("decoder", "settings", "topic", "code", "field"),
    [
        ("nope", {}, "a", "decoder.unknown", "decoder.name"),
        ("vmark", {"time_zone": "Mars"}, "a", "decoder.settings", "decoder.settings.time_zone"),
        ("raw", {"x": 1}, "a", "decoder.settings", "decoder.settings.x"),
        ("standard", {}, "a/#", "topic.invalid", None),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_field(
    here: World, decoder: str, settings: dict[str, Any], topic: str, code: str, field: str | None
) -> None:
    with pytest.raises(Refused) as raised:
        await preview(here, 1, decoder, topic, settings)
    assert (raised.value.code, raised.value.field) == (code, field)


@pytest.mark.parametrize(
    ("language", "source"),
    [("jsonata", "{"), ("jsonata", "payload.("), ("jmespath", "payload.["), ("jmespath", "{a: }")],
)
async def test_an_expression_that_cannot_be_read_is_refused(here: World, language: str, source: str) -> None:
    settings = {"expression": {"language": language, "source": source}}
    query = CheckDecoder(organization="org_a", decoder=DecoderChoice(name="custom", settings=settings))
    with pytest.raises(Refused) as error:
        await here.ask(CHECK_DECODER, query)
    assert (error.value.code, error.value.field) == ("decoder.settings", "decoder.settings.expression.source")
    assert error.value.detail


@pytest.mark.parametrize("source", ["payload", "payload.a.b.c", '$error("always")', "1/0"])
async def test_one_that_only_fails_for_some_message_is_taken(here: World, source: str) -> None:
    settings = {"expression": {"language": "jsonata", "source": source}}
    for decoder in (DecoderChoice(name="custom", settings=settings), DecoderChoice()):
        await here.ask(CHECK_DECODER, CheckDecoder(organization="org_a", decoder=decoder))
