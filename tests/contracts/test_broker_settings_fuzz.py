"""Whatever is sent for settings, certificates and keys, it is taken or refused, and never quoted."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from contracts.broker_secrets import WITH_SECRETS
from contracts.failures import Refused
from contracts.pem import check_authorities, check_client, facts
from tests.support.pems import make_pair

CLIENT = make_pair()
NAMES = [
    "auth",
    "protocol",
    "host",
    "port",
    "path",
    "mqtt_version",
    "username",
    "client_id",
    "keepalive_s",
    "topic_prefix",
    "tls",
    "password",
    "shared_access_key",
    "device_id",
    "hub",
    "token_lifetime_s",
    "verify",
    "ca",
    "alpn",
    "client_key",
    "client_certificate",
    "server_name",
]
WORDS = (
    "none",
    "password",
    "client_certificate",
    "aws_iot",
    "azure_sas",
    "mqtt",
    "mqtts",
    "ws",
    "wss",
    "5",
    "h",
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 70_000) | st.sampled_from(WORDS) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)


@given(values)
@settings(max_examples=400, deadline=None)
def test_settings_of_any_form_are_taken_or_refused(sent: Any) -> None:
    try:
        taken = WITH_SECRETS.validate_json(to_json(sent), strict=True)
    except ValidationError:
        return
    public = taken.public()
    assert WITH_SECRETS.validate_json(public.model_dump_json(), strict=True).public() == public
    assert set(from_json(public.model_dump_json())).isdisjoint({"password", "shared_access_key"})


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_a_damaged_pem_is_refused_without_being_quoted(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from((CLIENT.certificate, CLIENT.key, CLIENT.encrypted_key())))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 40))
        text = text[:at] + data.draw(st.text(max_size=6)) + text[at + cut :]
    for certificate, key in ((text, CLIENT.key), (CLIENT.certificate, text), (text, text)):
        try:
            check_client(certificate, key, datetime.now(UTC), ("certificate", "key"))
            said = ""
        except Refused as refused:
            said = refused.detail
        assert len(said) < 500
        assert not any(line in said for line in text.splitlines() if len(line) > 20)
    with suppress(Refused):
        check_authorities(text, datetime.now(UTC), "ca")
    facts(text)
