"""What births taught outlives restarts: Sparkplug's aliases, presence and sequence, through the engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts import subjects
from contracts.broker_settings import broker_settings
from contracts.decoders import GAP, State
from contracts.decoders.choice import chosen
from contracts.envelope import Cause
from contracts.integrations import DecoderChoice, IntegrationCreated
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from runtime.event_log import Append, EventLog
from services.telemetry import database as writers
from services.telemetry.place import Checkpoint
from services.telemetry.states import SENDERS_MAX, Learnt, States
from tests.contracts.sparkplug_dump import bd_seq, f64, metric, number, payload
from tests.support.clients import platform_client
from tests.telemetry.test_engine import projecting
from tests.telemetry.world import World, organization, world

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BIRTH = payload(bd_seq(1), metric("temperature", f64(13, 20.0), alias=1, type=10), seq=0)
PUMP = payload(metric("offset", number(10, 0), alias=2, type=3), seq=1)


class Plant:
    """An integration that reads Sparkplug, and what was made of its messages."""

    def __init__(self, there: World, org: str) -> None:
        self._there, self.org, self._seconds = there, org, 0

    async def send(self, type: str, data: bytes, device: str = "") -> int:
        self._seconds += 1
        topic = f"spBv1.0/plant/{type}/line4" + (f"/{device}" if device else "")
        at = NOW + timedelta(seconds=self._seconds)
        return await self._there.bridged(self.org, "int_one", topic, data, at=at)

    async def readings(self) -> list[tuple[Any, ...]]:
        """Device, metric, number, flags; in the order of the log."""
        rows = await self._there.database.fetch(
            "SELECT d.name, m.name, r.number, r.flags FROM readings r JOIN devices d ON d.id = r.device"
            " JOIN metrics m ON m.id = r.metric JOIN organizations o ON o.id = r.organization"
            " WHERE o.name = $1 AND m.name <> 'bdSeq' ORDER BY r.sequence, m.name",
            self.org,
        )
        return [tuple(row) for row in rows]

    async def failures(self) -> list[str]:
        rows = await self._there.database.fetch(
            "SELECT m.failure FROM messages m JOIN organizations o ON o.id = m.organization"
            " WHERE o.name = $1 AND m.failure IS NOT NULL ORDER BY m.sequence",
            self.org,
        )
        return [row[0] for row in rows]


@asynccontextmanager
async def plant(server: NatsServer, urls: DatabaseUrls) -> AsyncIterator[tuple[World, Plant]]:
    org = organization()
    created = IntegrationCreated(
        name="one",
        settings=broker_settings(host="broker.example", port=1883),
        topics=(),
        decoder=DecoderChoice(name="sparkplug-b"),
    )
    async with world(server, urls) as there, platform_client(server, "credentials") as client:
        append = Append(subjects.registry(org, "integration", "int_one"), created, 0)
        await EventLog(client, "REGISTRY").append([append], cause=Cause("admin", "credentials"), now=NOW)
        yield there, Plant(there, org)


async def test_aliases_types_and_sequence_outlive_a_restart(
    own_nats: NatsServer, database: DatabaseUrls
) -> None:
    async with plant(own_nats, database) as (there, sender):
        async with projecting(own_nats, database):
            await sender.send("NBIRTH", BIRTH)
            await there.stored(await sender.send("DBIRTH", PUMP, "pump"))
        async with projecting(own_nats, database):
            await sender.send("NDATA", payload(metric(None, f64(13, 21.0), alias=1), seq=2))
            await there.stored(
                await sender.send("DDATA", payload(metric(None, number(10, -1), alias=2), seq=5), "pump")
            )
        assert await sender.readings() == [
            ("plant:line4", "temperature", 20.0, 0),
            ("plant:line4:pump", "offset", 0.0, 0),
            ("plant:line4", "temperature", 21.0, 0),
            ("plant:line4:pump", "offset", -1.0, GAP),
        ]
        assert await sender.failures() == []


async def test_an_unknown_alias_is_a_dead_letter_until_the_rebirth(
    own_nats: NatsServer, database: DatabaseUrls
) -> None:
    async with plant(own_nats, database) as (there, sender), projecting(own_nats, database):
        await sender.send("NDATA", payload(metric(None, f64(13, 21.0), alias=1), seq=9))
        await sender.send("NBIRTH", BIRTH)
        await there.stored(await sender.send("NDATA", payload(metric(None, f64(13, 22.0), alias=1), seq=1)))
        assert await sender.failures() == ["decoder.alias_unknown"]
        assert [row[2] for row in await sender.readings()] == [20.0, 22.0]


async def test_a_nodes_death_takes_its_devices_along(own_nats: NatsServer, database: DatabaseUrls) -> None:
    async with plant(own_nats, database) as (there, sender):
        async with projecting(own_nats, database):
            await sender.send("NBIRTH", BIRTH)
            await there.stored(await sender.send("DBIRTH", PUMP, "pump"))
        async with projecting(own_nats, database):
            await there.stored(await sender.send("NDEATH", payload(bd_seq(1))))
        rows = await there.database.fetch(
            "SELECT d.name, p.online, p.why FROM presence p JOIN devices d ON d.id = p.device"
            " JOIN organizations o ON o.id = d.organization WHERE o.name = $1 ORDER BY d.name",
            sender.org,
        )
        assert [tuple(row) for row in rows] == [
            ("plant:line4", False, "lwt"),
            ("plant:line4:pump", False, "lwt"),
        ]


@pytest.mark.parametrize("births", [1, 3])
async def test_the_past_is_known_as_it_was_then(
    own_nats: NatsServer, database: DatabaseUrls, births: int
) -> None:
    async with plant(own_nats, database) as (there, sender):
        sequences = []
        async with projecting(own_nats, database):
            for number_of in range(births):
                birth = payload(
                    bd_seq(number_of), metric(f"t{number_of}", f64(13, 1.0), alias=1, type=10), seq=0
                )
                sequences.append(await sender.send("NBIRTH", birth))
            await there.stored(sequences[-1])
        pool = await writers.connect(database.projector)
        held = await there.database.fetchrow(
            "SELECT c.epoch, c.sequence FROM checkpoints c WHERE projection = 'messages'"
        )
        assert held is not None
        place = Checkpoint(held["epoch"], "", held["sequence"])
        who = (sender.org, "int_one", "plant/line4")
        decoder = chosen(DecoderChoice(name="sparkplug-b")).stateful
        assert decoder is not None
        for number_of, sequence in enumerate(sequences):
            states = States()
            await states.load(pool, [(who, decoder)], place, sequence + 1)
            assert states.at(who, sequence + 1).parts[""].aliases == {1: f"t{number_of}"}
        states = States()
        await states.load(pool, [(who, decoder)], place, sequences[0])
        assert states.at(who, sequences[0]).parts == {}
        await pool.close()


def test_what_is_remembered_is_bounded_and_nothing_in_hand_is_forgotten() -> None:
    decoder = chosen(DecoderChoice(name="sparkplug-b")).stateful
    assert decoder is not None
    states = States()
    senders = [("org", "int_one", f"g/n{number_of}") for number_of in range(SENDERS_MAX + 10)]
    for sequence, sender in enumerate(senders, start=1):
        states.put(sender, sequence, State({}, 7))
    last = len(senders) - 5  # the rest is not stored yet
    one = Learnt(senders[0], 1, NOW, State({}), State({}, 7), decoder)
    states.committed(last, [one])
    assert len(states) <= SENDERS_MAX // 2 + 10
    assert [states.at(sender, 10**6).counter for sender in senders[-5:]] == [7] * 5
    assert states.at(senders[0], 10**6) == State({}), "it can be loaded again"
