"""Settings of external brokers: one union, its defaults, and what providers take."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from contracts import upcasts
from contracts.broker_base import Protocol
from contracts.broker_checks import check
from contracts.broker_secrets import WITH_SECRETS, secrets_allowed, secrets_needed
from contracts.broker_settings import BrokerSettings, broker_settings
from contracts.broker_topics import (
    TopicFilter,
    check_publish,
    check_topics,
    default_topics,
    filters_a_subscribe,
)
from contracts.failures import Refused
from contracts.integrations import IntegrationCreated

PEM = "-----BEGIN CERTIFICATE-----"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
OPEN = broker_settings(host="h")
AWS = broker_settings(auth="aws_iot", host="x.iot.eu-west-1.amazonaws.com", tls={"client_certificate": PEM})
AZURE = broker_settings(auth="azure_sas", host="contoso.azure-devices.net", device_id="gw-1")


def filters(*texts: str, qos: Any = 1) -> list[TopicFilter]:
    return [TopicFilter(filter=text, qos=qos) for text in texts]


@pytest.mark.parametrize(
    ("fields", "auth"),
    [
        ({}, "none"),
        ({"username": "u"}, "password"),
        ({"auth": "none"}, "none"),
        ({"auth": None}, "none"),
        ({"auth": "client_certificate", "tls": {"client_certificate": PEM}}, "client_certificate"),
        (
            {"auth": "client_certificate", "username": "u", "tls": {"client_certificate": PEM}},
            "client_certificate",
        ),
    ],
)
def test_the_auth_tells_variants_apart(fields: dict[str, Any], auth: str) -> None:
    fields = {name: value for name, value in fields.items() if value is not None}
    assert broker_settings(host="h", **fields).auth == auth


@pytest.mark.parametrize(
    ("protocol", "port", "path", "tls"),
    [
        ("mqtt", 1883, None, False),
        ("mqtts", 8883, None, True),
        ("ws", 9001, "/mqtt", False),
        ("wss", 443, "/mqtt", True),
    ],
)
def test_port_path_and_tls_follow_the_protocol(
    protocol: Protocol, port: int, path: str | None, tls: bool
) -> None:
    settings = broker_settings(host="h", protocol=protocol)
    assert (settings.port, settings.path, settings.tls is not None) == (port, path, tls)
    assert settings.websocket is (path is not None)
    own = broker_settings(host="h", protocol=protocol, port=7)
    assert own.port == 7


def test_what_is_written_is_read_again_as_the_same() -> None:
    for settings in (OPEN, AWS, AZURE, broker_settings(protocol="wss", host="h", username="u")):
        assert broker_settings(**settings.model_dump()) == settings


def test_aws_offers_its_alpn_at_port_443_alone() -> None:
    assert AWS.alpn == ()
    pair = {"client_certificate": PEM}
    assert broker_settings(auth="aws_iot", host="h", port=443, tls=pair).alpn == ("x-amzn-mqtt-ca",)
    own = {**pair, "alpn": ["mine"]}
    assert broker_settings(auth="aws_iot", host="h", port=443, tls=own).alpn == ("mine",)


def test_azures_user_name_client_id_and_token_follow_from_the_device() -> None:
    assert AZURE.mqtt_username == "contoso.azure-devices.net/gw-1/?api-version=2021-04-12"
    assert AZURE.fixed_client_id == "gw-1"
    assert (AZURE.port, AZURE.mqtt_version) == (8883, "3.1.1")
    behind = broker_settings(
        auth="azure_sas", host="10.0.0.1", hub="contoso.azure-devices.net", device_id="gw-1", protocol="wss"
    )
    assert behind.mqtt_username == AZURE.mqtt_username
    assert (behind.port, behind.path) == (443, "/$iothub/websocket")


def test_the_server_name_is_the_hosts_unless_another_is_given() -> None:
    assert broker_settings(host="h", protocol="mqtts").server_name == "h"
    assert broker_settings(host="h", protocol="mqtts", tls={"server_name": "s"}).server_name == "s"


@pytest.mark.parametrize(
    ("settings", "allowed", "needed"),
    [
        (OPEN, (), ()),
        (broker_settings(host="h", username="u"), ("password",), ()),
        (
            broker_settings(host="h", username="u", protocol="mqtts", tls={"client_certificate": PEM}),
            ("password", "client_key"),
            ("client_key",),
        ),
        (AWS, ("client_key",), ("client_key",)),
        (AZURE, ("shared_access_key",), ("shared_access_key",)),
    ],
)
def test_which_secrets_belong_to_which_auth(
    settings: BrokerSettings, allowed: tuple[str, ...], needed: tuple[str, ...]
) -> None:
    assert (secrets_allowed(settings), secrets_needed(settings)) == (allowed, needed)


def test_secrets_come_apart_from_the_settings_and_are_not_shown() -> None:
    sent = WITH_SECRETS.validate_python(
        {
            "host": "h",
            "protocol": "mqtts",
            "username": "u",
            "password": "hush-1",
            "tls": {"client_certificate": PEM, "client_key": "hush-2"},
        }
    )
    assert sent.secret_fields() == {"password": "hush-1", "client_key": "hush-2"}
    assert "hush" not in repr(sent)
    assert "hush" not in sent.public().model_dump_json()
    assert "client_key" not in sent.public().model_dump_json()


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"auth": "none", "username": "u"}, "username"),
        ({"protocol": "mqtt", "tls": {}}, "tls"),
        ({"protocol": "mqtts", "path": "/x"}, "path"),
        ({"protocol": "mqtts", "tls": {"client_certificate": PEM}}, "tls"),
        ({"auth": "azure_sas", "device_id": "d", "client_id": "c"}, "client_id"),
        ({"auth": "aws_iot", "protocol": "mqtt"}, "protocol"),
    ],
)
def test_what_does_not_go_together(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        broker_settings(host="h", **settings)
    assert field in {str(error["loc"][-1]) for error in refused.value.errors()}


def test_topics_of_a_plain_broker_follow_mqtt_alone() -> None:
    check_topics(OPEN, filters("#", "$share/g/a/+", "/".join("abcdefghijkl"), qos=2))
    assert [topic.filter for topic in default_topics(OPEN)] == ["devices/+/telemetry", "devices/+/status"]
    with pytest.raises(Refused) as refused:
        check_topics(OPEN, filters("a", "b", "a"))
    assert refused.value.field == "topics.2.filter"


@pytest.mark.parametrize(
    ("topics", "field"),
    [
        (filters("a", "b", qos=2), "topics.0.qos"),
        (filters("/".join("abcdefghi")), "topics.0.filter"),
        (filters("ok", "ü" * 129), "topics.1.filter"),
        (filters(*(f"a/{n}" for n in range(51))), "topics"),
    ],
)
def test_what_aws_hangs_up_on_is_refused_first(topics: list[TopicFilter], field: str) -> None:
    with pytest.raises(Refused) as refused:
        check_topics(AWS, topics)
    assert (refused.value.code, refused.value.field) == ("filter.invalid", field)


def test_what_aws_takes() -> None:
    check_topics(AWS, filters("/".join("abcdefgh"), "$share/g/" + "/".join("abcdefgh"), "ü" * 128))
    check_topics(AWS, filters(*(f"a/{n}" for n in range(50))))
    check_publish(AWS, "$aws/rules/rule/" + "/".join("abcdefgh"), 1)
    assert filters_a_subscribe(AWS) == 8


def test_any_device_id_that_is_taken_makes_topics() -> None:
    strange = "aZ0-.%_?!(),:=@$'"
    settings = broker_settings(auth="azure_sas", host="h", device_id=strange)
    check_topics(settings, default_topics(settings))
    check_publish(settings, f"devices/{strange}/messages/events/", 1)
    for wrong in ("a*b", "a+b", "a#b", "a/b", "a b", ""):
        with pytest.raises(ValidationError):
            broker_settings(auth="azure_sas", host="h", device_id=wrong)


def test_a_device_of_azure_gets_its_own_alone() -> None:
    check_topics(AZURE, default_topics(AZURE))
    own = "devices/gw-1/messages/devicebound/#"
    check_topics(AZURE, filters(own, "$iothub/methods/POST/#", "$iothub/twin/PATCH/properties/desired/#"))
    for other in (
        "#",
        "devices/+/messages/devicebound/#",
        "devices/gw-2/messages/devicebound/#",
        "$iothub/#",
    ):
        with pytest.raises(Refused, match="nothing but"):
            check_topics(AZURE, filters(other))
    with pytest.raises(Refused, match="QoS 0 and 1"):
        check_topics(AZURE, filters(own, qos=2))


@pytest.mark.parametrize(
    ("settings", "topic", "qos", "taken"),
    [
        (OPEN, "a/b", 2, True),
        (OPEN, "a/+", 0, False),
        (AWS, "a/b", 2, False),
        (AWS, "/".join("abcdefghi"), 0, False),
        (AZURE, "devices/gw-1/messages/events/", 1, True),
        (AZURE, "devices/gw-1/messages/events/a=b", 1, True),
        (AZURE, "$iothub/methods/res/200/?$rid=1", 0, True),
        (AZURE, "devices/gw-2/messages/events/", 1, False),
        (AZURE, "a/b", 1, False),
    ],
)
def test_what_may_be_published(settings: BrokerSettings, topic: str, qos: int, taken: bool) -> None:
    if taken:
        check_publish(settings, topic, qos)
        return
    with pytest.raises(Refused) as refused:
        check_publish(settings, topic, qos)
    assert refused.value.code == "topic.invalid"


@pytest.mark.parametrize(("username", "auth"), [(None, "none"), ("", "none"), ("u", "password")])
def test_what_was_written_before_there_was_an_auth_is_read(username: str | None, auth: str) -> None:
    body = {
        "name": "n",
        "settings": {
            "protocol": "mqtt",
            "host": "h",
            "port": 1883,
            "mqtt_version": "5",
            "username": username,
            "client_id": None,
            "keepalive_s": 30,
            "topic_prefix": None,
        },
        "topics": [],
        "decoder": {"name": "standard", "settings": {}},
        "secrets": {},
    }
    _, step = upcasts.UPCASTS["integration.created.v1"]
    assert IntegrationCreated.model_validate(step(body)).settings.auth == auth


@pytest.mark.parametrize(
    "host", ["mqtt://broker.example.com", "broker.example.com/mqtt", "me@broker.example.com"]
)
def test_a_url_in_the_place_of_a_host_is_refused_in_words(host: str) -> None:
    with pytest.raises(ValidationError, match="the host's name or address alone"):
        broker_settings(host=host)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("broker.example.com:1883", "the port goes into `port`"),
        ("203.0.113.7:1883", "the port goes into `port`"),
        ("[2001:db8::7]", "without brackets"),
    ],
)
def test_a_port_behind_the_host_is_refused_where_it_is_new(host: str, words: str) -> None:
    settings = broker_settings(host=host)
    with pytest.raises(Refused, match=words) as refused:
        check(settings, {}, NOW)
    assert (refused.value.code, refused.value.field) == ("request.invalid", "settings.host")
    check(settings, {}, NOW, before=settings)  # what was saved once can still be renamed


@pytest.mark.parametrize("host", ["2001:db8::7", "203.0.113.7", "broker.example.com"])
def test_names_and_addresses_are_hosts(host: str) -> None:
    check(broker_settings(host=host), {}, NOW)
