"""Integrations over HTTP: every kind of broker, its presets, what is wrong with its settings, and changes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic_core import to_json

from contracts import connection_test, decoder_previews, integrations
from contracts.broker_topics import check_topics, default_topics
from contracts.failures import Refused
from contracts.presets import PRESETS, Preset
from services.gateway.openapi.broker_examples import CERTIFICATE, KEY, VARIANTS
from services.gateway.routes.integrations import IntegrationChange, NewIntegration
from tests.gateway.peers import KEYS, Peers, bearer
from tests.gateway.problem_assertions import assert_problem
from tests.support.pems import make_pair

in_module_loop = pytest.mark.asyncio(loop_scope="module")
CLIENT = make_pair()
PAIR = {"client_certificate": CERTIFICATE, "client_key": KEY}


def filled_in(preset: Preset) -> dict[str, Any]:
    """What a customer would send who has filled in every field."""
    body: dict[str, Any] = {"name": preset.name, "settings": dict(preset.settings)}
    if preset.topics:
        body["topics"] = [topic.model_dump() for topic in preset.topics]
    for field in preset.fields:
        place = body
        *outer, last = field.path.split(".")
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = CERTIFICATE if field.kind == "pem" else field.example or "c2VjcmV0LW9mLTE2LWJ5dGVz"
    return body


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_a_preset_that_is_filled_in_is_an_integration(preset: Preset) -> None:
    new = NewIntegration.model_validate_json(to_json(filled_in(preset)), strict=True)
    settings = new.settings.public()
    check_topics(settings, new.topics or default_topics(settings))
    sent = new.settings.secret_fields()
    assert set(sent) == {
        field.path.rpartition(".")[2]
        for field in preset.fields
        if field.path.endswith(("password", "client_key", "shared_access_key"))
    }


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_a_preset_needs_no_more_than_its_required_fields(preset: Preset) -> None:
    needed = tuple(field for field in preset.fields if field.required)
    body = filled_in(preset.model_copy(update={"fields": needed}))
    NewIntegration.model_validate_json(to_json(body), strict=True)
    assert all(field.where and field.label for field in preset.fields)


@pytest.mark.parametrize("name", VARIANTS["NewIntegration"])
def test_every_example_of_a_new_integration_is_one(name: str) -> None:
    NewIntegration.model_validate_json(to_json(VARIANTS["NewIntegration"][name]), strict=True)


@pytest.mark.parametrize("name", VARIANTS["IntegrationChange"])
def test_every_example_of_a_change_is_one(name: str) -> None:
    IntegrationChange.model_validate_json(to_json(VARIANTS["IntegrationChange"][name]), strict=True)


@in_module_loop
async def test_presets_are_listed_for_whoever_may_read(alpha: httpx.AsyncClient) -> None:
    answer = (await alpha.get("/v1/integrations/presets")).json()
    assert [each["id"] for each in answer["items"]] == [preset.id for preset in PRESETS]
    assert answer["next_cursor"] is None


@in_module_loop
@pytest.mark.parametrize("name", VARIANTS["NewIntegration"])
async def test_no_secret_of_any_kind_comes_back(alpha: httpx.AsyncClient, peers: Peers, name: str) -> None:
    body = VARIANTS["NewIntegration"][name]
    answer = await alpha.post("/v1/integrations", json=body)
    assert answer.status_code == 201, answer.text
    asked = peers.last(integrations.CreateIntegration)
    assert asked.settings.host == body["settings"]["host"]
    assert "PRIVATE KEY" not in str(asked.settings)
    assert "PRIVATE KEY" not in answer.text
    assert set(asked.secrets) == {
        secret
        for secret, place in (
            ("password", body["settings"]),
            ("shared_access_key", body["settings"]),
            ("client_key", body["settings"].get("tls", {})),
        )
        if secret in place
    }


AZURE = {"auth": "azure_sas", "host": "x.azure-devices.net", "device_id": "d", "shared_access_key": "a2V5"}
AWS = {"auth": "aws_iot", "host": "x.iot.eu-west-1.amazonaws.com", "tls": PAIR}


@in_module_loop
@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"host": ""}, "settings.host", ""),
        ({"host": "mqtt://broker"}, "settings.host", ""),
        ({"host": "a b"}, "settings.host", ""),
        ({"host": "h" * 254}, "settings.host", ""),
        ({"host": "h", "port": 0}, "settings.port", "1"),
        ({"host": "h", "port": 65536}, "settings.port", "65535"),
        ({"host": "h", "port": None}, "settings.port", ""),
        ({"host": "h", "protocol": "http"}, "settings.protocol", "mqtts"),
        ({"host": "h", "path": "/mqtt"}, "settings.path", "only ws and wss"),
        ({"host": "h", "protocol": "ws", "path": "mqtt"}, "settings.path", ""),
        ({"host": "h", "protocol": "ws", "path": "/a b"}, "settings.path", ""),
        ({"host": "h", "mqtt_version": "3.1"}, "settings.mqtt_version", "3.1.1"),
        ({"host": "h", "username": ""}, "settings.username", ""),
        ({"host": "h", "username": "u\0"}, "settings.username", ""),
        ({"host": "h", "username": "u" * 1025}, "settings.username", ""),
        ({"host": "h", "password": "hush"}, "settings.username", "required"),
        ({"host": "h", "username": "u", "password": ""}, "settings.password", ""),
        ({"host": "h", "username": "u", "password": "hush" * 1025}, "settings.password", ""),
        ({"host": "h", "client_id": "a b"}, "settings.client_id", ""),
        ({"host": "h", "client_id": "c" * 65}, "settings.client_id", ""),
        ({"host": "h", "keepalive_s": 4}, "settings.keepalive_s", "5"),
        ({"host": "h", "keepalive_s": 3601}, "settings.keepalive_s", "3600"),
        ({"host": "h", "topic_prefix": "a/#"}, "settings.topic_prefix", "wildcard"),
        ({"host": "h", "topic_prefix": "p" * 201}, "settings.topic_prefix", ""),
        ({"host": "h", "tls": {"verify": False}}, "settings.tls", "only mqtts and wss"),
        ({"host": "h", "protocol": "mqtts", "tls": {"verify": "no"}}, "settings.tls.verify", ""),
        ({"host": "h", "protocol": "mqtts", "tls": {"ca": "c" * 16_385}}, "settings.tls.ca", "16384"),
        ({"host": "h", "protocol": "mqtts", "tls": {"server_name": "a b"}}, "settings.tls.server_name", ""),
        ({"host": "h", "protocol": "mqtts", "tls": {"alpn": ["mqtt"] * 9}}, "settings.tls.alpn", "8"),
        ({"host": "h", "protocol": "mqtts", "tls": {"alpn": [""]}}, "settings.tls.alpn.0", ""),
        ({"host": "h", "protocol": "mqtts", "tls": PAIR}, "settings.tls.client_key", "no such field"),
        ({"host": "h", "auth": "magic"}, "settings.auth", "aws_iot"),
        ({"host": "h", "auth": ["none"]}, "settings.auth", "aws_iot"),
        ({"host": "h", "auth": "none", "username": "u"}, "settings.username", ""),
        ({"host": "h", "auth": "client_certificate"}, "settings.tls", "required"),
        ({"host": "h", "auth": "client_certificate", "tls": {}}, "settings.tls", "client_certificate"),
        (
            {"host": "h", "auth": "client_certificate", "protocol": "ws", "tls": PAIR},
            "settings.protocol",
            "wss",
        ),
        ({**AWS, "port": 1883}, "settings.port", "8883 and 443"),
        ({**AWS, "protocol": "wss"}, "settings.protocol", "mqtts"),
        ({**AWS, "keepalive_s": 29}, "settings.keepalive_s", "30"),
        ({**AWS, "keepalive_s": 1201}, "settings.keepalive_s", "1200"),
        ({**AWS, "client_id": "$aws"}, "settings.client_id", ""),
        ({**AWS, "username": "u"}, "settings.username", ""),
        ({**AZURE, "port": 443}, "settings.port", "mqtts at 8883"),
        ({**AZURE, "mqtt_version": "5"}, "settings.mqtt_version", "3.1.1"),
        ({**AZURE, "device_id": "a/b"}, "settings.device_id", ""),
        ({**AZURE, "device_id": "d" * 129}, "settings.device_id", ""),
        ({**AZURE, "token_lifetime_s": 299}, "settings.token_lifetime_s", "300"),
        ({**AZURE, "token_lifetime_s": 86_401}, "settings.token_lifetime_s", "86400"),
        ({**AZURE, "keepalive_s": 1178}, "settings.keepalive_s", "1177"),
        ({**AZURE, "tls": {"client_certificate": CERTIFICATE}}, "settings.tls", "client certificate"),
        ({**AZURE, "shared_access_key": "k" * 257}, "settings.shared_access_key", ""),
    ],
)
async def test_a_setting_out_of_its_bounds_is_named(
    alpha: httpx.AsyncClient, peers: Peers, settings: dict[str, Any], field: str, words: str
) -> None:
    answer = await alpha.post("/v1/integrations", json={"name": "p", "settings": settings})
    problem = assert_problem(answer, "request.invalid", field)
    assert [each["field"] for each in problem["errors"]] == [field]
    assert words in problem["detail"]
    assert "hush" not in answer.text
    assert "PRIVATE KEY" not in answer.text
    assert not [asked for asked in peers.asked if isinstance(asked, integrations.CreateIntegration)]


@in_module_loop
@pytest.mark.parametrize(
    ("filter", "taken"),
    [
        ("$share/hybridmq/devices/+/telemetry", True),
        ("#", True),
        ("with spaces/+", True),
        ("$sys/version/+/devices/#", True),
        ("$share/hybridmq", False),
        ("$share/+/a", False),
        ("$share//a", False),
        ("a/#/b", False),
        ("a+", False),
        ("a\0b", False),
        ("", False),
    ],
)
async def test_filters_follow_the_rules_of_mqtt(alpha: httpx.AsyncClient, filter: str, taken: bool) -> None:
    topics = [{"filter": filter, "qos": 1}]
    answer = await alpha.post(
        "/v1/integrations", json={"name": "p", "settings": {"host": "h"}, "topics": topics}
    )
    if taken:
        assert answer.status_code == 201, answer.text
    else:
        assert_problem(answer, "request.invalid", "topics.0.filter")


@in_module_loop
async def test_the_hosted_ones_name_and_decoder_are_passed_on(alpha: httpx.AsyncClient, peers: Peers) -> None:
    answer = await alpha.patch("/v1/integrations/hosted", json={"decoder": {"name": "vmark", "settings": {}}})
    assert answer.status_code == 200, answer.text
    asked = peers.last(integrations.ChangeIntegration)
    assert (asked.id, asked.decoder.name, asked.settings) == ("hosted", "vmark", None)
    refused = await alpha.patch("/v1/integrations/hosted", json={"settings": {"host": "elsewhere"}})
    assert_problem(refused, "integration.hosted")


@in_module_loop
@pytest.mark.parametrize(
    ("pair", "code", "field"),
    [
        ({"client_certificate": CLIENT.certificate}, "request.invalid", "settings.tls.client_key"),
        (
            {"client_certificate": CLIENT.certificate, "client_key": make_pair().key},
            "certificate.invalid",
            "settings.tls.client_key",
        ),
        (
            {"client_certificate": CLIENT.key, "client_key": CLIENT.key},
            "certificate.invalid",
            "settings.tls.client_certificate",
        ),
    ],
)
async def test_a_connection_is_not_tested_with_a_certificate_that_cannot_be(
    alpha: httpx.AsyncClient, peers: Peers, pair: dict[str, str], code: str, field: str
) -> None:
    settings = {"auth": "client_certificate", "host": "broker.example", "tls": pair}
    answer = await alpha.post("/v1/integrations/test", json={"settings": settings})
    assert_problem(answer, code, field)
    assert CLIENT.key.splitlines()[1] not in answer.text
    assert not [asked for asked in peers.asked if isinstance(asked, connection_test.TestConnection)]


@in_module_loop
async def test_a_connection_with_a_client_certificate_is_tested(
    alpha: httpx.AsyncClient, peers: Peers
) -> None:
    tls = {"client_certificate": CLIENT.certificate, "client_key": CLIENT.key}
    settings = {"auth": "client_certificate", "host": "broker.example", "tls": tls}
    assert (await alpha.post("/v1/integrations/test", json={"settings": settings})).status_code == 200
    asked = peers.last(connection_test.TestConnection)
    assert {name: value.get_secret_value() for name, value in asked.secrets.items()} == {
        "client_key": CLIENT.key
    }


@in_module_loop
async def test_an_expression_that_cannot_be_read_is_refused_and_nothing_is_made(
    http: httpx.AsyncClient, peers: Peers
) -> None:
    wrong = Refused("decoder.settings", "at 3", field="decoder.settings.expression.source")
    peers.refuse(decoder_previews.CHECK_DECODER, wrong)
    decoder = {"name": "custom", "settings": {"expression": {"language": "jsonata", "source": "a.("}}}
    settings = {"host": "broker.example.com", "port": 1883}
    new = {"name": "Plant", "settings": settings, "decoder": decoder}
    for response in (
        await http.post("/v1/integrations", json=new, headers=bearer(KEYS.alpha)),
        await http.patch("/v1/integrations/int_1", json={"decoder": decoder}, headers=bearer(KEYS.alpha)),
        await http.patch("/v1/integrations/hosted", json={"decoder": decoder}, headers=bearer(KEYS.alpha)),
        await http.post(
            "/v1/redecode",
            json={"from": "2026-01-01T00:00:00Z", "decoder": decoder},
            headers=bearer(KEYS.alpha),
        ),
    ):
        assert_problem(response, "decoder.settings", "decoder.settings.expression.source")
    made = (integrations.CreateIntegration, integrations.ChangeIntegration)
    assert not [each for each in peers.asked if isinstance(each, made)]
