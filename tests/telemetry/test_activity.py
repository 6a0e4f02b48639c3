"""What happened, as it is asked for: by kind, direction, device, credential, actor, words, time, and one by one."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts import subjects
from contracts.activity import ActivityRecorded
from contracts.envelope import TRACEPARENT, Cause, encode
from contracts.failures import Refused
from contracts.telemetry import GET_ACTIVITY, LIST_ACTIVITY, GetActivity, ListActivity
from deploy.local.nats import NatsServer
from tests.support.clients import platform_client
from tests.support.eventually import eventually
from tests.telemetry.world import World, organization

NOW = datetime.now(UTC)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def happened(server: NatsServer, org: str, *events: ActivityRecorded, **more: Any) -> list[str]:
    """Ids, as they were written; `at`, `actor` and `traceparent` are of all of them."""
    ids = []
    async with platform_client(server, "credentials") as client:
        for event in events:
            ids.append(f"a{random.random()}")
            headers, data = encode(
                event,
                id=ids[-1],
                time=more.get("at", datetime.now(UTC)),
                cause=Cause(more.get("actor", "key:k"), "credentials"),
            )
            if "traceparent" in more:
                headers[TRACEPARENT] = more["traceparent"]
            answer = await client.request(
                subjects.activity(org, event.kind), data, headers=headers, timeout=5
            )
            assert b'"seq"' in answer.data
    return ids


async def kinds(here: World, org: str, **query: Any) -> list[str]:
    page = await here.ask(LIST_ACTIVITY, ListActivity(organization=org, **query))
    return [row.kind for row in page.items]


async def test_every_filter_narrows_what_is_listed(here: World, own_nats: NatsServer) -> None:
    org, other = organization(), organization()
    await happened(
        own_nats,
        org,
        ActivityRecorded(kind="device.connected", subject="credential:cred_1", device_id="d1"),
        ActivityRecorded(kind="link.up", subject="integration:int_1", summary="connected"),
        actor="device:cred_1",
    )
    await happened(
        own_nats,
        org,
        ActivityRecorded(
            kind="link.down", status="failed", subject="integration:int_1", reason="broker.closed"
        ),
        ActivityRecorded(kind="link-like.up", subject="integration:int_2"),
        ActivityRecorded(kind="credential.issued", subject="credential:cred_2", summary="Boiler 100%"),
    )
    await happened(own_nats, org, ActivityRecorded(kind="cat.fed"), at=NOW - timedelta(days=8), actor="x")
    await happened(own_nats, other, ActivityRecorded(kind="link.up", subject="integration:int_1"))

    async def all_of() -> bool:
        return len(await kinds(here, org)) == 6 and len(await kinds(here, other)) == 1

    await eventually(all_of)
    for query, expected in (
        ({"kind": ("link.*",)}, ["link.down", "link.up"]),
        ({"kind": ("link.up", "credential.*")}, ["credential.issued", "link.up"]),
        ({"kind": ("link.%",)}, []),
        ({"status": "failed"}, ["link.down"]),
        ({"direction": "in"}, ["device.connected"]),
        ({"direction": "out"}, ["link.down", "link.up"]),
        ({"direction": "own"}, ["credential.issued", "link-like.up", "cat.fed"]),
        ({"device_id": "d1"}, ["device.connected"]),
        ({"integration_id": "int_1"}, ["link.down", "link.up"]),
        ({"credential_id": "cred_2"}, ["credential.issued"]),
        ({"credential_id": "int_1"}, []),
        ({"actor": "device:cred_1"}, ["link.up", "device.connected"]),
        ({"q": "BOILER"}, ["credential.issued"]),
        ({"q": "100% issued"}, ["credential.issued"]),
        ({"q": "closed"}, ["link.down"]),
        ({"q": "_"}, ["credential.issued", "link-like.up", "link.down", "link.up", "device.connected"]),
        ({"q": "fed"}, []),
        ({"q": "fed", "from_": NOW - timedelta(days=9)}, ["cat.fed"]),
        ({"to": NOW - timedelta(days=1)}, ["cat.fed"]),
        ({"kind": ("link.*",), "direction": "in"}, []),
    ):
        assert await kinds(here, org, **query) == expected, query


async def test_an_entry_bears_its_trace_and_direction_and_is_its_organizations(
    here: World, own_nats: NatsServer
) -> None:
    org, other = organization(), organization()
    event = ActivityRecorded(kind="publish.failed", status="failed", duration_ms=3.5, details={"qos": 1})
    [id] = await happened(own_nats, org, event, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    [untraced] = await happened(own_nats, org, event, traceparent="00-" + "0" * 32 + "-00f067aa0ba902b7-01")

    async def both() -> bool:
        return len(await kinds(here, org)) == 2

    await eventually(both)
    row = await here.ask(GET_ACTIVITY, GetActivity(organization=org, id=id))
    assert (row.id, row.trace_id, row.direction, row.duration_ms) == (id, TRACE, "out", 3.5)
    assert (await here.ask(GET_ACTIVITY, GetActivity(organization=org, id=untraced))).trace_id is None
    for query in (GetActivity(organization=other, id=id), GetActivity(organization=org, id="none")):
        with pytest.raises(Refused) as error:
            await here.ask(GET_ACTIVITY, query)
        assert error.value.code == "not_found"


async def test_a_flood_of_dead_letters_is_one_entry_and_a_number(here: World, own_nats: NatsServer) -> None:
    org = organization()
    for number in range(50):
        await here.hosted(org, f"d{number % 3}", b"{nope")
    await here.stored(await here.hosted(org, "d1", {"t": 1}))

    async def said() -> list[str]:
        return await kinds(here, org, kind=("dead-letter.written",))

    assert await eventually(said) == ["dead-letter.written"]
    page = await here.ask(LIST_ACTIVITY, ListActivity(organization=org))
    [first] = page.items
    assert (first.status, first.reason, first.device_id) == ("failed", "payload.not_json", "d0")
    assert first.subject == "integration:hosted"
