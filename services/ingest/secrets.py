"""Passwords of integrations: asked for at the moment of connecting, and kept nowhere."""

from __future__ import annotations

from contracts.integrations import READ_SECRET, ReadSecret, TestConnection
from runtime import rpc
from runtime.bus import Bus
from services.ingest.links import Wanted


async def of_link(bus: Bus, wanted: Wanted) -> str | None:
    return await _read(bus, wanted.key.organization, wanted.key.integration, wanted.secrets)


async def of_test(bus: Bus, request: TestConnection) -> str | None:
    """What the caller sent, else that of the saved integration."""
    if (sent := request.secrets.get("password")) is not None:
        return sent.get_secret_value()
    if request.integration is None:
        return None
    return await _read(bus, request.organization, request.integration, request.secret_references)


async def _read(bus: Bus, organization: str, integration: str, references: dict[str, str]) -> str | None:
    if (reference := references.get("password")) is None:
        return None
    asked = ReadSecret(
        organization=organization, integration=integration, field="password", reference=reference
    )
    answer = await rpc.call(bus, READ_SECRET, asked)
    return answer.value.get_secret_value()
