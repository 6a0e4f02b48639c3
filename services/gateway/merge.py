"""A change of an integration's settings laid over what is held (RFC 7396): what is not sent stays, null takes a
member back to its default. What belongs to the protocol or the `auth` that was left goes with it.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from contracts.broker_base import DEFAULT_PORTS
from contracts.broker_secrets import WITH_SECRETS, BrokerSettingsWithSecrets
from contracts.broker_settings import BrokerSettings
from contracts.failures import Refused
from services.gateway.bodies import invalid

Fields = dict[str, Any]
_OF_ONE_AUTH = {"auth", "username", "device_id", "hub", "token_lifetime_s"}
_DERIVED = ("none", "password")  # by whether there is a user name, where `auth` is not sent


def changed_settings(held: BrokerSettings | None, change: Fields) -> BrokerSettingsWithSecrets:
    """The whole new settings; raises Invalid with `settings.<field>`, Refused for the hosted broker."""
    if held is None:
        raise Refused("integration.hosted", "the hosted broker has no settings to change")
    before = held.model_dump(mode="json")
    auth = change.get("auth")
    if auth is None and ("auth" in change or held.auth in _DERIVED):
        del before["auth"]
    if auth not in (None, held.auth):
        before = _for_another_auth(before, auth)
    if change.get("protocol") not in (None, held.protocol):
        before = _for_another_protocol(before, held, change["protocol"])
    try:
        return WITH_SECRETS.validate_json(to_json(_merged(before, change)), strict=True)
    except ValidationError as error:
        raise invalid(error, "settings.") from error


def _merged(before: Fields, change: Fields) -> Fields:
    merged = dict(before)
    for name, value in change.items():
        inner = merged.get(name)
        merged[name] = (
            _merged(inner if isinstance(inner, dict) else {}, value) if isinstance(value, dict) else value
        )
    return {name: value for name, value in merged.items() if value is not None}


def _for_another_auth(before: Fields, auth: Any) -> Fields:
    kept = {name: value for name, value in before.items() if name not in _OF_ONE_AUTH}
    if auth == "azure_sas":  # a device's own
        del kept["client_id"], kept["mqtt_version"]
    if kept["tls"] is not None and auth not in ("client_certificate", "aws_iot"):
        kept["tls"] = {**kept["tls"], "client_certificate": None}
    return kept


def _for_another_protocol(before: Fields, held: BrokerSettings, protocol: Any) -> Fields:
    kept = dict(before)
    if held.port == DEFAULT_PORTS[held.protocol]:
        del kept["port"]
    if protocol not in ("ws", "wss") or not held.websocket:
        del kept["path"]
    if protocol not in ("mqtts", "wss"):
        del kept["tls"]
    return kept
