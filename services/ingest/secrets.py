"""Secrets of integrations: asked for at the moment of connecting, and kept nowhere."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.integrations import READ_SECRET, ReadSecret
from runtime import rpc
from runtime.bus import Bus
from services.ingest.links import Key, Wanted


async def of_link(bus: Bus, wanted: Wanted) -> dict[str, str]:
    return await read(bus, wanted.key, wanted.secrets)


async def read(bus: Bus, key: Key, references: Mapping[str, str]) -> dict[str, str]:
    """By name. Raises the failure that the credentials service answers with, or Unavailable."""
    found = {}
    for name, reference in references.items():
        asked = ReadSecret(
            organization=key.organization, integration=key.integration, field=name, reference=reference
        )
        found[name] = (await rpc.call(bus, READ_SECRET, asked)).value.get_secret_value()
    return found
