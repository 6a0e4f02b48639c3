"""`python -m services.credentials.mosquitto`: writes the REGISTRY as the broker's dynamic-security file.

Before every start of the broker: a fresh or a damaged one then holds what it should.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from contracts.failures import Unavailable
from runtime import observe
from runtime.bus import connect
from runtime.observe import log
from runtime.settings import load
from services.credentials.directory import Directory
from services.credentials.mosquitto.document import render
from services.credentials.mosquitto.follower import wanted_now
from services.credentials.mosquitto.settings import RestoreSettings
from services.credentials.mosquitto.staff import ADMIN, INGEST

_log = log(part="restore")


async def restore(settings: RestoreSettings) -> None:
    """Raises Unavailable where the REGISTRY cannot be read."""
    began = time.monotonic()
    bus = await connect(settings, "credentials")
    try:
        directory = Directory(bus.client)
        following = asyncio.create_task(directory.follow())
        try:
            await directory.started(timeout_s=settings.start_patience_s)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    finally:
        await bus.broker.stop()
    now = datetime.now(UTC)
    entries = directory.credentials.by_id.values()
    devices = [client for entry in entries if (client := wanted_now(directory, entry, now)) is not None]
    passwords = {
        ADMIN: settings.mosquitto_admin_password.get_secret_value(),
        INGEST: settings.hosted_mqtt_password.get_secret_value(),
    }
    write(settings.mosquitto_config_file, render(devices, passwords))
    old = sum(1 for entry in entries if entry.state.status == "active" and not entry.state.broker_verifier)
    if old:
        _log.warning("credentials of before Mosquitto was supported cannot connect: rotate them", count=old)
    _log.info("dynamic security written", clients=len(devices), seconds=round(time.monotonic() - began, 2))


def write(path: Path, text: str) -> None:
    """Whole or not at all; only its owner reads it."""
    part = path.with_name(f"{path.name}.part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def main() -> None:
    settings = load(RestoreSettings)
    observe.set_up("mosquitto-restore")
    try:
        asyncio.run(restore(settings))
    except Unavailable as failure:
        _log.error("dynamic security is left as it was", error=failure.detail)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
