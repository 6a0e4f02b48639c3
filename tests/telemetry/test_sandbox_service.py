"""Expressions in the running service: what they read is stored, and a hostile one delays nobody."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from contracts import subjects
from contracts.broker_settings import broker_settings
from contracts.envelope import Cause
from contracts.integrations import DecoderChoice, IntegrationCreated
from contracts.telemetry import LIST_ACTIVITY, ListActivity
from deploy.local.nats import NatsServer
from runtime.event_log import Append, EventLog
from tests.support.clients import platform_client
from tests.support.eventually import eventually
from tests.telemetry.world import World, organization

GOOD = '{"device_id": payload.sn, "time": payload.at, "readings": payload.obs{n: v}}'
LOOP = "($f := function($x){ $f($x + 1) }; $f(1))"


async def integrated(server: NatsServer, org: str, id: str, **settings: Any) -> None:
    """An integration with the custom decoder, in the registry."""
    async with platform_client(server, "credentials") as client:
        broker = broker_settings(host="broker.example", port=1883, keepalive_s=30)
        choice = DecoderChoice(name="custom", settings=settings)
        created = IntegrationCreated(name=id, settings=broker, topics=(), decoder=choice)
        append = Append(subjects.registry(org, "integration", id), created, 0)
        await EventLog(client, "REGISTRY").append(
            [append], cause=Cause("admin", "credentials"), now=datetime.now(UTC)
        )


def jsonata(source: str) -> dict[str, Any]:
    return {"expression": {"language": "jsonata", "source": source}}


async def test_paths_and_expressions_end_in_readings_and_what_they_do_not_fit_in_dead_letters(
    here: World, own_nats: NatsServer
) -> None:
    org = organization()
    await integrated(own_nats, org, "int_paths", telemetry_path="body", device_id_path="sn", scale={"t": 0.1})
    await integrated(own_nats, org, "int_jsonata", **jsonata(GOOD))
    message = {"sn": "S9", "at": "2026-03-01T10:00:00Z", "obs": [{"n": "t", "v": 21.5}], "body": {"t": 215}}
    last = 0
    for payload in (message, {"sn": 1.5}, b"{nope"):
        for integration in ("int_paths", "int_jsonata"):
            last = await here.bridged(org, integration, "plant/up", payload)
    await here.stored(last)
    rows = await here.database.fetch(
        "SELECT source, failure FROM messages JOIN organizations o ON o.id = organization"
        " WHERE o.name = $1 ORDER BY sequence",
        org,
    )
    assert [tuple(row) for row in rows] == [
        ("int_paths", None),
        ("int_jsonata", None),
        ("int_paths", "path.unmatched"),
        ("int_jsonata", "decoder.result"),
        ("int_paths", "payload.not_json"),
        ("int_jsonata", "payload.not_json"),
    ]
    samples = await here.database.fetch(
        "SELECT numbers FROM samples JOIN organizations o ON o.id = organization WHERE o.name = $1", org
    )
    assert [row["numbers"] for row in samples] == [[21.5], [21.5]]


async def test_other_tenants_messages_are_stored_while_hostile_rules_run(
    here: World, own_nats: NatsServer
) -> None:
    good, bad = organization(), [organization() for _ in range(4)]
    await integrated(own_nats, good, "int_good", **jsonata(GOOD))
    for org in bad:
        for number in range(3):
            await integrated(own_nats, org, f"int_{number}", **jsonata(f"({number}; {LOOP})"))
    message = {"sn": "S9", "obs": [{"n": "t", "v": 21.5}]}
    await here.stored(await here.bridged(good, "int_good", "plant/up", message))

    sent = [0]
    stop = asyncio.Event()

    async def rage(org: str) -> None:
        while not stop.is_set():
            await here.bridged(org, f"int_{sent[0] % 3}", "plant/up", {"t": 1})
            sent[0] += 1
            await asyncio.sleep(0.01)  # hostile is the rule: a flood is another test's matter

    tasks = [asyncio.create_task(rage(org)) for org in bad]
    delays = []
    for _ in range(10):
        for integration in ("int_good", "hosted"):
            started = time.monotonic()
            if integration == "hosted":
                sequence = await here.hosted(good, "d1", {"t": 1})
            else:
                sequence = await here.bridged(good, integration, "plant/up", message)
            await here.stored(sequence)
            delays.append(time.monotonic() - started)
    stop.set()
    await asyncio.gather(*tasks)
    delays.sort()
    assert delays[len(delays) // 2] < 1.0, delays
    assert delays[-1] < 6.0, delays

    counts = [await here.counts(org) for org in bad]
    assert await here.counts(good) == (21, 21, 21)

    async def all_counted() -> bool:
        return sum([(await here.counts(org))[0] for org in bad]) == sent[0]

    await eventually(all_counted)
    assert all(samples == 0 for _, _, samples in counts)
    failures = await here.database.fetch(
        "SELECT DISTINCT failure FROM messages JOIN organizations o ON o.id = organization WHERE o.name = ANY($1)",
        bad,
    )
    assert {row["failure"] for row in failures} >= {"decoder.timeout", "decoder.quarantined"}
    assert {row["failure"] for row in failures} <= {
        "decoder.timeout",
        "decoder.quarantined",
        "decoder.unavailable",
    }

    async def told() -> bool:
        request = ListActivity(organization=bad[0], kind=("decoder.quarantined",))
        return bool((await here.ask(LIST_ACTIVITY, request)).items)

    await eventually(told)
