"""A change of an integration's settings laid over what is held (RFC 7396, one level)."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from contracts.failures import Refused
from contracts.integrations import BrokerSettings, BrokerSettingsWithSecrets
from services.gateway.bodies import invalid


def changed_settings(held: BrokerSettings | None, change: dict[str, Any]) -> BrokerSettingsWithSecrets:
    """The whole new settings; raises Invalid with `settings.<field>`, Refused for the hosted broker."""
    if held is None:
        raise Refused("integration.hosted", "the hosted broker has no settings to change")
    merged = {**held.model_dump(mode="json"), **change}
    kept = {name: value for name, value in merged.items() if value is not None}
    try:
        return BrokerSettingsWithSecrets.model_validate_json(to_json(kept), strict=True)
    except ValidationError as error:
        raise invalid(error, "settings.") from error
