"""The examples of docs/how-to/write-a-custom-decoder.md give what they say."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from contracts.decoders import Decoded, Message
from contracts.decoders.custom import Custom
from contracts.decoders.custom_settings import CustomSettings
from contracts.failures import Unprocessable
from services.telemetry.sandbox.expressions import decode_many
from services.telemetry.sandbox.pool import Pool
from services.telemetry.sandbox.process import ROOT

PAGE = (ROOT / "docs/how-to/write-a-custom-decoder.md").read_text()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Example(NamedTuple):
    settings: Any
    message: str
    kind: str  # readings, or refused
    expected: str


def examples() -> Iterator[Example]:
    settings, message = None, ""
    for kind, text in re.findall(r"```(?:json|text) (\w+)\n(.*?)```", PAGE, re.DOTALL):
        if kind == "settings":
            settings = json.loads(text)
        elif kind == "message":
            message = text
        else:
            yield Example(settings, message, kind, text)


async def decoded(example: Example) -> Decoded | Unprocessable:
    settings = CustomSettings.model_validate(example.settings)
    message = Message("plant/7/up", example.message.encode(), NOW)
    if settings.expression is None:
        try:
            return Custom().decode(message, settings)
        except Unprocessable as failure:
            return failure
    pool = Pool(1, lambda *_: None)
    try:
        [one] = await decode_many(pool, "org_a", settings, [message], within_s=60)
        return one
    finally:
        await pool.close()


def shown(found: Decoded) -> list[dict[str, Any]]:
    return [
        {
            "device_id": sample.device_id,
            "time": sample.time.isoformat().replace("+00:00", "Z"),
            "readings": {one.metric: [one.value, one.unit] for one in sample.readings},
        }
        for sample in found.samples
    ]


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.message.strip()[:40])
async def test_an_example_gives_what_the_page_says(example: Example) -> None:
    found = await decoded(example)
    if example.kind == "refused":
        assert isinstance(found, Unprocessable)
        assert found.detail == example.expected.strip()
        return
    assert isinstance(found, Decoded), found
    expected = json.loads(example.expected)
    wanted = expected if isinstance(expected, list) else [expected]
    assert shown(found) == [{"time": "2026-03-01T12:00:00Z", **one} for one in wanted]


def test_the_page_has_examples() -> None:
    assert len(list(examples())) == 7
