"""FAULTS 19: rotation of the key-encryption key, killed ten times in it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.nats import NatsServer
from tests.credentials.rotating import rotating_service

pytestmark = pytest.mark.faults
SECRETS = 10_000
KILLS = 10
KILLS_LONG = 50


async def test_killed_in_the_middle_no_secret_is_lost_and_none_is_left_on_the_old_key(
    own_nats: NatsServer, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = random.randrange(2**32)
    kills = KILLS_LONG if os.environ.get("LONG") else KILLS
    record_property("seed", seed)
    print(f"seed {seed}, {SECRETS} secrets, {kills} kills")  # noqa: T201 - asked for by FAULTS
    rotating = rotating_service(own_nats, tmp_path)
    try:
        await rotating.survives(SECRETS, kills, random.Random(seed))
    finally:
        rotating.service.running.process.stop()
