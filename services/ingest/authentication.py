"""What a CONNECT says of who we are, for each way to authenticate. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from contracts.broker_providers import AzureIotSettings
from contracts.broker_settings import BrokerSettings
from services.ingest import sas
from services.ingest.packets import Login

RENEWED_AT = 0.8  # of a token's life: what is left is for a broker or a network that is away just then


class Authenticated(NamedTuple):
    """`renew_in_s`: when to connect anew, before what we said of ourselves expires; None: never."""

    login: Login
    renew_in_s: float | None


def authenticate(
    settings: BrokerSettings, secrets: Mapping[str, str], client_id: str, *, clean: bool, now: float
) -> Authenticated:
    """`secrets` by field name, `now` in seconds since 1970. A client certificate is shown by TLS, not here.

    Raises Refused("request.invalid") where a secret cannot be used.
    """
    password, renew_in_s = secrets.get("password"), None
    if isinstance(settings, AzureIotSettings):
        lifetime_s = settings.token_lifetime_s
        key = secrets.get("shared_access_key", "")
        password = sas.token(settings.token_resource, key, int(now) + lifetime_s)
        renew_in_s = RENEWED_AT * lifetime_s
    return Authenticated(Login(client_id, settings.mqtt_username, password, clean), renew_in_s)
