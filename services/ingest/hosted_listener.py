"""The hosted broker's own listener, as settings of a connection: `mqtt://` in the clear, `mqtts://` by TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from contracts.broker_base import DEFAULT_PORTS, Protocol
from contracts.broker_settings import BrokerSettings, broker_settings


def hosted_broker(url: str, authority: Path | None, **fields: Any) -> BrokerSettings:
    """`authority`: who signed its certificate, PEM; None: one of the system's. Raises pydantic.ValidationError."""
    address = urlsplit(url)
    protocol: Protocol = "mqtts" if address.scheme == "mqtts" else "mqtt"
    if protocol == "mqtts" and authority is not None:
        fields["tls"] = {"ca": authority.read_text()}
    return broker_settings(
        protocol=protocol,
        host=address.hostname or "127.0.0.1",
        port=address.port or DEFAULT_PORTS[protocol],
        **fields,
    )
