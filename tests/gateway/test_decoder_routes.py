"""Decoders over HTTP: the list with what can be set, and previews."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from contracts.decoder_previews import PreviewDecoder
from contracts.decoders import REGISTRY
from contracts.telemetry import ListTelemetry
from tests.gateway.peers import ALPHA, Peers
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
BODY: dict[str, Any] = {"decoder": {"name": "standard"}, "topic": "devices/s1/telemetry"}


async def test_every_decoder_is_listed_with_all_that_a_form_needs(alpha: httpx.AsyncClient) -> None:
    items = (await alpha.get("/v1/decoders")).json()["items"]
    assert {item["name"] for item in items} == set(REGISTRY)
    for item in items:
        assert item["version"] >= 1
        assert item["description"]
        assert item["example"]["topic"]
        for name, setting in item["settings_schema"].get("properties", {}).items():
            assert setting.keys() >= {"title", "description", "examples"}, f"{item['name']}.{name}"
    assert [item["name"] for item in items if item["replies"]] == ["vmark"]
    assert [item["name"] for item in items if item["remembers"]] == ["sparkplug-b"]


@pytest.mark.parametrize(
    ("sent", "bytes_out"),
    [
        ({"payload": "online"}, b"online"),
        ({"payload": {"t": 1}}, b'{"t":1}'),
        ({"payload_base64": "oWFhAQ=="}, b"\xa1aa\x01"),
    ],
)
async def test_a_payload_is_text_json_or_base64(
    alpha: httpx.AsyncClient, peers: Peers, sent: dict[str, Any], bytes_out: bytes
) -> None:
    earlier = {"topic": "spBv1.0/a/NBIRTH/b", "payload": "x"}
    body = {**BODY, **sent, "prefix": "plant", "preceding": [earlier]}
    assert (await alpha.post("/v1/decoders/preview", json=body)).json()["outcome"] == "nothing"
    asked = peers.last(PreviewDecoder)
    assert (asked.organization, asked.prefix, asked.hosted) == (ALPHA, "plant", False)
    assert base64.b64decode(asked.payload) == bytes_out
    assert base64.b64decode(asked.preceding[0].payload) == b"x"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({}, "payload"),
        ({"payload": 1, "payload_base64": "AA=="}, "payload"),
        ({"payload": 1, "topic": ""}, "topic"),
        ({"payload": 1, "preceding": [{"topic": "a", "payload": 1}] * 6}, "preceding"),
        ({"payload": 1, "preceding": [{"topic": "a", "payload": "x" * 60_000}]}, "preceding.0.payload"),
        ({"payload": 1, "received_at": "yesterday"}, "received_at"),
    ],
)
async def test_what_is_wrong_with_a_question_is_said_by_field(
    alpha: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    problem = assert_problem(
        await alpha.post("/v1/decoders/preview", json={**BODY, **change}), "request.invalid"
    )
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_provenance_is_included_on_request_and_nothing_else_is(
    alpha: httpx.AsyncClient, peers: Peers
) -> None:
    assert (await alpha.get("/v1/telemetry", params={"include": "provenance"})).status_code == 200
    assert peers.last(ListTelemetry).provenance is True
    await alpha.get("/v1/telemetry")
    assert peers.last(ListTelemetry).provenance is False
    assert_problem(await alpha.get("/v1/telemetry?include=secrets"), "request.invalid", "include")
