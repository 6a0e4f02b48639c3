"""A change laid over held settings: pure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.broker_settings import BrokerSettings, broker_settings
from contracts.failures import Refused
from services.gateway.merge import changed_settings
from services.gateway.problems import Invalid
from tests.contracts.test_broker_settings_fuzz import NAMES, values

CERTIFICATE = "-----BEGIN CERTIFICATE-----"
PASSWORD = broker_settings(host="h", username="u", port=1884, keepalive_s=60)
TLS = broker_settings(
    protocol="mqtts", host="h", username="u", tls={"ca": "ca", "alpn": ["mqtt"], "server_name": "s"}
)
CLIENT = broker_settings(auth="client_certificate", host="h", tls={"client_certificate": CERTIFICATE})
AZURE = broker_settings(auth="azure_sas", host="h", device_id="d")


def change(held: BrokerSettings, **fields: Any) -> BrokerSettings:
    return changed_settings(held, fields).public()


def test_what_is_not_sent_stays() -> None:
    assert change(PASSWORD, host="other") == PASSWORD.model_copy(update={"host": "other"})


def test_null_is_the_default() -> None:
    assert change(PASSWORD, keepalive_s=None).keepalive_s == 30
    assert change(PASSWORD, port=None).port == 1883


def test_inside_of_tls_what_is_not_sent_stays_too() -> None:
    changed = change(TLS, tls={"verify": False, "alpn": None})
    assert changed.tls is not None
    assert (changed.tls.ca, changed.tls.server_name, changed.tls.verify, changed.tls.alpn) == (
        "ca",
        "s",
        False,
        (),
    )


def test_a_secret_that_is_not_sent_or_null_is_none() -> None:
    assert changed_settings(TLS, {"password": None, "tls": {"client_key": None}}).secret_fields() == {}
    assert changed_settings(TLS, {"password": "new"}).secret_fields() == {"password": "new"}


def test_the_auth_follows_the_user_name() -> None:
    assert change(PASSWORD, username=None).auth == "none"
    assert change(broker_settings(host="h"), username="u").auth == "password"
    assert change(CLIENT, username="u").auth == "client_certificate"


def test_a_default_port_and_path_follow_the_protocol() -> None:
    ws = change(broker_settings(host="h"), protocol="ws")
    assert (ws.port, ws.path, ws.tls) == (9001, "/mqtt", None)
    kept = change(PASSWORD, protocol="mqtts")
    assert (kept.port, kept.tls is not None) == (1884, True)
    plain = change(TLS, protocol="mqtt")
    assert (plain.port, plain.tls) == (1883, None)
    path = broker_settings(protocol="ws", host="h", path="/own")
    assert change(path, protocol="wss").path == "/own"
    assert change(path, protocol="mqtt").path is None


def test_with_another_auth_what_no_longer_belongs_goes() -> None:
    azure = change(CLIENT, auth="azure_sas", device_id="d")
    assert azure.client_certificate is None
    none = change(AZURE, auth="none")
    assert (none.auth, none.protocol, none.port) == ("none", "mqtts", 8883)
    password = change(CLIENT, auth="password", username="u")
    assert (password.protocol, password.client_certificate) == ("mqtts", None)
    aws = change(CLIENT, auth="aws_iot")
    assert aws.client_certificate == CERTIFICATE


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"auth": "client_certificate"}, "settings.protocol"),
        ({"auth": "azure_sas"}, "settings.protocol"),
        ({"auth": ["none"]}, "settings.auth"),
        ({"auth": {}}, "settings.auth"),
        ({"protocol": ["mqtt"]}, "settings.protocol"),
        ({"tls": []}, "settings.tls"),
        ({"port": "1883"}, "settings.port"),
        ({"colour": 1}, "settings.colour"),
    ],
)
def test_a_change_that_does_not_fit_names_its_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        changed_settings(PASSWORD, fields)
    assert field in [error.field for error in refused.value.errors]


def test_the_hosted_broker_has_no_settings() -> None:
    with pytest.raises(Refused) as refused:
        changed_settings(None, {"host": "h"})
    assert refused.value.code == "integration.hosted"


@pytest.mark.parametrize("held", [PASSWORD, TLS, CLIENT, AZURE], ids=lambda held: held.auth)
@given(st.dictionaries(st.sampled_from(NAMES), values, max_size=5))
@settings(max_examples=150, deadline=None)
def test_any_change_is_taken_or_refused(held: BrokerSettings, fields: dict[str, Any]) -> None:
    try:
        changed_settings(held, fields)
        wrong = []
    except Invalid as refused:
        wrong = [error.field for error in refused.errors]
    assert all(field.startswith("settings") for field in wrong)
