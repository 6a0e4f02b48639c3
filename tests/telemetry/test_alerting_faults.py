"""Alerts are told once, whoever dies when: by the real service, its log and its database."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from contracts import envelope, rebuild, subjects, upcasts
from contracts.alert_rules import AlertRule, AlertRuleCreated
from contracts.alerts import LIST_ALERTS, ListAlerts
from contracts.envelope import Cause, Recorded
from contracts.organizations import PLATFORM
from contracts.streams import ALERTS
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from runtime.pull import Pull
from services.telemetry.alerting.outbox import LOCK
from services.telemetry.database import plain_url
from tests.conftest import RunService
from tests.support.clients import platform_client
from tests.support.eventually import eventually
from tests.telemetry.world import World, organization, world

pytestmark = pytest.mark.faults
HOT = {"kind": "threshold", "metric": "t", "operator": ">", "value": 80}


@pytest.fixture
async def log(own_nats: NatsServer, database: DatabaseUrls) -> AsyncIterator[World]:
    """The module's log and database; a test runs the service itself."""
    async with world(own_nats, database) as made:
        yield made


async def new_rule(server: NatsServer, org: str, condition: dict[str, Any], id: str = "rule_1") -> None:
    """As credentials would write it."""
    said = AlertRule.model_validate_json(json.dumps({"name": id, "condition": condition}))
    cause = Cause("key:k", "credentials")
    event = AlertRuleCreated(rule=said)
    headers, data = envelope.encode(event, id=f"{org}{id}", time=datetime.now(UTC), cause=cause)
    async with platform_client(server, "credentials") as registry:
        await registry.request(subjects.registry(org, "alert-rule", id), data, headers=headers, timeout=5)


async def told(server: NatsServer, org: str) -> list[Recorded]:
    """Everything that stands in ALERTS of an organization."""
    found: list[Recorded] = []
    async with platform_client(server, "telemetry") as reader:
        pull = Pull(reader, ALERTS.name, start=1, filters=[f"alert.{org}.*"], name="test")
        while entries := await pull.next_batch(1000, timeout_s=0.5):
            for entry in entries:
                recorded = upcasts.decode(entry.headers, entry.data, subject=entry.subject)
                assert recorded is not None
                found.append(recorded)
        await pull.close()
    return found


async def kinds(server: NatsServer, org: str) -> list[str]:
    return [recorded.event.type for recorded in await told(server, org)]


async def test_a_kill_before_the_transaction_is_stored_tells_it_once(
    log: World, run_service: RunService, own_nats: NatsServer, database: DatabaseUrls
) -> None:
    org = organization()
    await new_rule(own_nats, org, HOT)
    service = await asyncio.to_thread(run_service, "telemetry", own_nats, database)
    await log.stored(await log.hosted(org, "d", {"t": 20}))
    holder = await asyncpg.connect(plain_url(database.owner))
    lock = holder.transaction()
    await lock.start()
    await holder.execute("LOCK TABLE alert_outbox IN EXCLUSIVE MODE")  # rows are copied, the alert waits
    last = await log.hosted(org, "d", {"t": 99})
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO alert_outbox%'"
    )
    await eventually(lambda: log.database.fetchval(waiting))
    service.process.kill()
    await lock.rollback()
    await holder.close()
    assert await kinds(own_nats, org) == []
    await asyncio.to_thread(service.start)
    await log.stored(last)
    await eventually(lambda: kinds(own_nats, org))
    await log.stored(await log.hosted(org, "d", {"t": 20}))

    async def both() -> bool:
        return await kinds(own_nats, org) == ["alert.opened", "alert.resolved"]

    await eventually(both)
    service.process.stop()


async def test_a_kill_between_the_database_and_the_log_tells_it_once(
    log: World, run_service: RunService, own_nats: NatsServer, database: DatabaseUrls
) -> None:
    org = organization()
    await new_rule(own_nats, org, HOT)
    service = await asyncio.to_thread(run_service, "telemetry", own_nats, database)
    holder = await asyncpg.connect(plain_url(database.owner))
    await holder.execute("SELECT pg_advisory_lock($1)", LOCK)  # nobody sends
    last = await log.hosted(org, "d", {"t": 99})
    await log.stored(last)
    counted = "SELECT count(*) FROM alert_outbox WHERE organization = $1"
    assert await log.database.fetchval(counted, org) == 1
    service.process.kill()
    await holder.close()
    await asyncio.to_thread(service.start)
    await eventually(lambda: kinds(own_nats, org))
    await log.database.execute(  # as if its deletion had been lost, long after the log's window for doubles
        "INSERT INTO alert_outbox (organization, alert, event_id, type, at, body)"
        " SELECT $1, $2, $2 || '-again', 'alert.opened.v1', now(), $3",
        org,
        (await told(own_nats, org))[0].subject.split(".")[2],
        (await told(own_nats, org))[0].event.model_dump_json(),
    )

    async def sent() -> bool:
        return bool(await log.database.fetchval(counted, org) == 0)

    await eventually(sent)
    assert await kinds(own_nats, org) == ["alert.opened"]
    service.process.stop()


async def test_two_replicas_that_are_killed_at_random_tell_each_transition_once(
    log: World,
    run_service: RunService,
    own_nats: NatsServer,
    database: DatabaseUrls,
    record_property: Callable[[str, object], None],
) -> None:
    dice = random.Random(seed := random.randrange(10**6))
    record_property("seed", seed)
    org, devices, rounds = organization(), 10, 8
    await new_rule(own_nats, org, HOT)
    await new_rule(own_nats, org, {**HOT, "value": 90, "hysteresis": 30}, "rule_2")
    # In threads: a loop that stands still for as long loses its connection to NATS.
    services = [
        await asyncio.to_thread(run_service, "telemetry", own_nats, database, BATCH_MESSAGES_MAX="7")
        for _ in range(2)
    ]

    async def send() -> int:
        for number in range(rounds):
            for device in range(devices):
                last = await log.hosted(org, f"d{device}", {"t": 95 if number % 2 else 50})
            await asyncio.sleep(0.15)  # so that the kills meet work of every kind
        return last

    sending = asyncio.create_task(send())
    for victim in services:
        await asyncio.sleep(dice.uniform(0.05, 1.0))
        await asyncio.to_thread(victim.process.kill)
        await asyncio.to_thread(victim.start)
    await log.stored(await sending, timeout_s=60)
    opened, resolved = devices * rounds, devices * (rounds - 2)  # two rules, every second round

    async def all_told() -> bool:
        return len(await kinds(own_nats, org)) >= opened + resolved

    await eventually(all_told, timeout_s=90)
    await asyncio.sleep(1.5)  # a clock's turn more: nothing follows
    found = Counter(await kinds(own_nats, org))
    assert found == {"alert.opened": opened, "alert.resolved": resolved}
    subjects_told = Counter((recorded.subject, recorded.event.type) for recorded in await told(own_nats, org))
    assert set(subjects_told.values()) == {1}
    for service in services:
        service.process.stop()


async def test_a_rebuild_tells_nothing_again(
    log: World, run_service: RunService, own_nats: NatsServer, database: DatabaseUrls
) -> None:
    org = organization()
    await new_rule(own_nats, org, HOT)
    service = await asyncio.to_thread(run_service, "telemetry", own_nats, database)
    for value in (99, 20, 99):
        await log.stored(await log.hosted(org, "d", {"t": value}))

    async def shown() -> list[Any]:
        page = await log.ask(LIST_ALERTS, ListAlerts(organization=org))
        return [row.model_dump() for row in page.items] if len(page.items) == 2 else []

    before = await eventually(shown)
    order = rebuild.StartRebuild(organization=PLATFORM, actor="admin")
    await log.ask(rebuild.START_REBUILD, order)

    async def done() -> bool:
        asked = rebuild.GetRebuild(organization=PLATFORM, actor="admin")
        held = (await log.ask(rebuild.GET_REBUILD, asked)).rebuild
        assert held is None or held.state != "failed", held
        return held is not None and held.state == "done"

    await eventually(done, timeout_s=90)
    assert await shown() == before
    assert len(await kinds(own_nats, org)) == 3
    await log.stored(await log.hosted(org, "d", {"t": 99}))
    await log.stored(await log.hosted(org, "d", {"t": 20}))

    async def over() -> bool:
        return len(await kinds(own_nats, org)) == 4

    await eventually(over)
    service.process.stop()
