"""What is wrong with a broker's certificates and keys, before they are saved. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from datetime import datetime
from ipaddress import ip_address

from pydantic import SecretStr

from contracts import pem
from contracts.broker_base import Tls
from contracts.broker_secrets import AUTHORITY, CLIENT, FIELDS, secrets_needed
from contracts.broker_settings import BrokerSettings
from contracts.failures import Refused

AZURE_KEY_BYTES = range(16, 65)


def pair_is_new(
    settings: BrokerSettings, sent: Mapping[str, SecretStr], before: BrokerSettings | None
) -> bool:
    """Whether certificate and key must be held against each other: one of them is new."""
    certificate = settings.client_certificate
    known = before.client_certificate if before is not None else None
    return certificate is not None and (certificate != known or "client_key" in sent)


def check(
    settings: BrokerSettings,
    sent: Mapping[str, SecretStr],
    now: datetime,
    *,
    before: BrokerSettings | None = None,
    held_key: SecretStr | None = None,
    key_is_sealed: bool = False,
) -> None:
    """Refuse (`certificate.invalid`, `request.invalid`) what is new here and cannot be used, by its field.

    What was saved before is left alone: an integration with an expired certificate can still be renamed.
    `key_is_sealed`: the key of a new certificate cannot be looked at here; connecting shows whether it fits.
    """
    if before is None or settings.host != before.host:
        _check_host(settings.host)
    if pair_is_new(settings, sent, before) and ("client_key" in sent or not key_is_sealed):
        key = sent.get("client_key", held_key)
        pem.check_client(
            settings.client_certificate or "",
            key.get_secret_value() if key is not None else None,
            now,
            (CLIENT, FIELDS["client_key"]),
        )
    known = (before.tls if before is not None else None) or Tls()
    authorities = settings.tls.ca if settings.tls is not None else None
    if authorities is not None and authorities != known.ca:
        pem.check_authorities(authorities, now, AUTHORITY)
    if (shared := sent.get("shared_access_key")) is not None:
        _check_shared_access_key(shared.get_secret_value())


def check_unsaved(settings: BrokerSettings, sent: Mapping[str, SecretStr], now: datetime) -> None:
    """The same of settings that nothing is held for: all secrets that they need must be there."""
    _check_needed(settings, sent)
    check(settings, sent, now)


def check_change(
    settings: BrokerSettings,
    sent: Mapping[str, SecretStr],
    before: BrokerSettings,
    held: Collection[str],
    now: datetime,
) -> None:
    """The same of a change that is only tried: `held` are the names of the secrets that are there already."""
    _check_needed(settings, {*sent, *held})
    check(settings, sent, now, before=before, key_is_sealed="client_key" in held)


def _check_needed(settings: BrokerSettings, there: Collection[str]) -> None:
    for name in secrets_needed(settings):
        if name not in there:
            raise Refused("request.invalid", f"auth {settings.auth} needs it", field=FIELDS[name])


def _check_host(host: str) -> None:
    """A colon is part of IPv6 addresses alone; brackets are of URLs."""
    if host.startswith("["):
        raise Refused("request.invalid", "an IPv6 address goes without brackets", field="settings.host")
    if ":" in host:
        try:
            ip_address(host)
        except ValueError:
            detail = "the host's name or address alone: the port goes into `port`"
            raise Refused("request.invalid", detail, field="settings.host") from None


def _check_shared_access_key(key: str) -> None:
    field = FIELDS["shared_access_key"]
    if "SharedAccessKey=" in key or "SharedAccessSignature" in key:
        detail = "send the key alone: of a connection string, what stands after SharedAccessKey="
        raise Refused("request.invalid", detail, field=field)
    try:
        size = len(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        detail = "it is not base64: copy the device's primary key whole"
        raise Refused("request.invalid", detail, field=field) from None
    if size not in AZURE_KEY_BYTES:
        least, most = AZURE_KEY_BYTES[0], AZURE_KEY_BYTES[-1]
        detail = f"it has {size} bytes, a key of Azure IoT Hub has {least} to {most}"
        raise Refused("request.invalid", detail, field=field)
