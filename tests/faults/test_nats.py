"""FAULTS 5: nats-server killed again and again under load; what it acknowledged must reach MESSAGES, however late."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path
from time import monotonic

import pytest
from nats.aio.client import Client

from deploy.local.nats import DEVICES_MQTT_USER, NatsServer
from runtime.jetstream import stream_state
from runtime.pull import Pull
from tests.support.clients import platform_client
from tests.support.ledger import Ledger, Load, Mqtt, Verdict, judge

pytestmark = pytest.mark.faults
ORGANIZATION = "org_abcdefgh12345678"
DEVICES = 4
KILLS, KILLS_LONG = 6, 60
PATIENCE_S = 180  # how long the source may stand still after the last kill; what was seen is printed


async def test_what_was_acknowledged_reaches_the_log_after_many_kills(
    own_nats: NatsServer, tmp_path: Path
) -> None:
    seed = int(os.environ.get("SEED") or random.randrange(2**32))
    kills = KILLS_LONG if os.environ.get("LONG") else KILLS
    print(f"seed {seed}, {kills} kills")  # noqa: T201 - asked for by FAULTS
    loads = [_load(own_nats, tmp_path, number) for number in range(DEVICES)]
    for load in loads:
        load.start()
    moments = random.Random(seed)
    for _ in range(kills):
        await asyncio.sleep(moments.uniform(1, 5))
        await asyncio.to_thread(own_nats.kill)
        await asyncio.to_thread(own_nats.start)
    await asyncio.sleep(2)
    for load in loads:
        load.leave_off.set()
    for load in loads:
        await asyncio.to_thread(load.join, 60)
        assert not load.is_alive()

    acknowledged = sum(len(load.ledger.acknowledged) for load in loads)
    async with platform_client(own_nats, "telemetry") as client:
        begun = monotonic()
        stood_still = await _arrived(client, acknowledged)
        print(  # noqa: T201
            f"acknowledged {acknowledged}; the log had them {monotonic() - begun:.1f} s after the load,"
            f" and stood still for at most {stood_still:.1f} s"
        )
        rows: dict[int, list[int]] = {number: [] for number in range(DEVICES)}
        pull = Pull(client, "MESSAGES", start=1)
        while batch := await pull.next_batch(4000, timeout_s=3):
            for entry in batch:
                rows[int(entry.subject.split(".")[4][1:])].append(json.loads(entry.data)["number"])
    verdicts = [judge(load.ledger, rows[number]) for number, load in enumerate(loads)]
    assert verdicts == [Verdict(0, 0, 0, 0)] * DEVICES, f"seed {seed}"


def _load(server: NatsServer, folder: Path, number: int) -> Load:
    way = Mqtt(
        server.ports.mqtt,
        username=DEVICES_MQTT_USER,
        password=server.seeds.mqtt_password,
        client_id=f"device-{number}",
        topic=f"{ORGANIZATION}/devices/d{number}/telemetry",
    )
    return Load(Ledger(folder / f"ledger-{number}"), way, window=200, rate=2000)


async def _arrived(client: Client, least: int) -> float:
    """Returns when the log holds as many; the longest time without a new one, in seconds."""
    longest, last, changed = 0.0, -1, monotonic()
    while True:
        state = await stream_state(client, "MESSAGES")
        now = monotonic()
        if state.last != last:
            last, changed = state.last, now
        longest = max(longest, now - changed)
        if state.last >= least:
            return longest
        assert now - changed < PATIENCE_S, f"{state.last} of {least} after {PATIENCE_S} s without a new one"
        await asyncio.sleep(0.5)
