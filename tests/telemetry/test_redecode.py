"""History decoded again: exactly the messages of the range, counted, found right everywhere afterwards."""

import asyncio

import pytest

from contracts.failures import Refused
from contracts.integrations import DecoderChoice
from contracts.telemetry import GET_DEVICE, LIST_DEVICES, GetDevice, ListDevices
from tests.support.eventually import eventually
from tests.telemetry.redecoding import (
    CUSTOM,
    earlier,
    in_state,
    nested,
    new_organization,
    order,
    preview,
    readings,
    soon,
)
from tests.telemetry.world import World

OLD, NEW = ("body.values.t", "kind"), ("t",)


async def test_exactly_the_messages_of_the_range_are_decoded_again(there: World) -> None:
    org, other = await new_organization(there), await new_organization(there, "Other")
    before = await there.hosted(org, "d1", nested(1))
    await there.hosted(other, "d1", nested(1))
    await asyncio.sleep(0.01)  # so that the range begins behind it
    start = soon()
    await asyncio.sleep(0.01)
    within = [await there.hosted(org, "d1", nested(number)) for number in (2, 3)]
    await there.hosted(other, "d1", nested(2))
    within.append(await there.hosted(org, "d2", nested(4)))
    await asyncio.sleep(0.01)
    end = soon()
    await asyncio.sleep(0.01)
    after = await there.hosted(org, "d1", nested(5))
    await there.stored(after)

    seen = await preview(there, org, start, end=end)
    assert (seen.messages, seen.complete) == (3, True)
    assert (seen.added, seen.removed, seen.changed, seen.unchanged) == (3, 6, 0, 0)
    assert {(one.device_id, one.metric) for one in seen.samples_added} == {("d1", "t"), ("d2", "t")}
    assert seen.samples_removed[0].before is not None
    assert await readings(there, org) == [(d, s, OLD) for d, s in _devices(before, within, after)]

    id = await order(there, org, start, end=end)
    done = await in_state(there, org, id, "done")
    assert (done.messages, done.added, done.removed, done.changed) == (3, 3, 6, 0)
    assert (done.progress, done.failed, done.resolved) == (1.0, 0, 0)
    wanted = [(d, s, NEW if s in within else OLD) for d, s in _devices(before, within, after)]
    assert await readings(there, org) == wanted
    assert [metrics for _, _, metrics in await readings(there, other)] == [OLD, OLD], "another organization's"
    versions = await there.database.fetch(
        "SELECT DISTINCT d.name, s.sequence = ANY($2::bigint[]) AS again FROM samples s"
        " JOIN decoders d ON d.id = s.decoder JOIN organizations o ON o.id = s.organization WHERE o.name = $1",
        org,
        within,
    )
    assert {tuple(row) for row in versions} == {("standard", False), ("custom", True)}
    d1 = await there.ask(GET_DEVICE, GetDevice(organization=org, id="d1"))
    assert {metric: latest.value for metric, latest in d1.latest.items()} == {
        "body.values.t": 5,
        "kind": "x",
        "t": 3,
    }
    d2 = await there.ask(GET_DEVICE, GetDevice(organization=org, id="d2"))
    assert set(d2.latest) == {"t"}, "a metric that is nowhere any more is shown"


def _devices(before: int, within: list[int], after: int) -> list[tuple[str, int]]:
    return [("d1", before), ("d1", within[0]), ("d1", within[1]), ("d2", within[2]), ("d1", after)]


async def test_dead_letters_are_resolved_and_others_made(there: World) -> None:
    org = await new_organization(there)
    await there.hosted(org, "d1", b"21.5 degrees")
    last = await there.hosted(org, "d1", b'{"t": 1}')
    await there.stored(last)
    failing = (
        "SELECT count(failure) FROM messages m JOIN organizations o ON o.id = organization WHERE name = $1"
    )
    assert await there.database.fetchval(failing, org) == 1
    seen = await preview(there, org, earlier(hours=1), DecoderChoice(name="text"))
    assert (seen.resolved, seen.failed) == (1, 0)
    id = await order(there, org, earlier(hours=1), DecoderChoice(name="text"))
    done = await in_state(there, org, id, "done")
    assert (done.resolved, done.failed) == (1, 0)
    assert await there.database.fetchval(failing, org) == 0
    states = "SELECT array_agg(state) FROM dead_letters l JOIN organizations o ON o.id = organization WHERE name = $1"
    await eventually(lambda: _is(there, states, org, ["resolved"]))

    other = await new_organization(there)
    await there.stored(await there.hosted(other, "d1", b'{"t": 1}'))
    id = await order(there, other, earlier(hours=1), CUSTOM)
    done = await in_state(there, other, id, "done")
    assert (done.resolved, done.failed, done.removed) == (0, 1, 1)
    assert await there.database.fetchval(failing, other) == 1
    await eventually(lambda: _is(there, states, other, ["open"]))
    assert await readings(there, other) == []


async def _is(there: World, query: str, org: str, wanted: object) -> bool:
    return bool(await there.database.fetchval(query, org) == wanted)


async def test_a_device_that_only_the_former_decoder_knew_is_gone(there: World) -> None:
    org = await new_organization(there)
    payload = {"device": "ghost", "real": "r1", "v": {"t": 1}}
    last = await there.bridged(org, "int_plant", "plant/data", payload)
    await there.stored(last)
    wanted = DecoderChoice(name="custom", settings={"device_id_path": "real", "telemetry_path": "v"})
    with pytest.raises(Refused) as refused:
        await order(there, org, earlier(hours=1), wanted, integration="int_plant")
    assert refused.value.code == "not_found", "an integration that the registry does not know"
    await there.bridged(org, "http", "plant/data", payload)
    await there.stored(await there.bridged(org, "http", "plant/data", payload))
    id = await order(there, org, earlier(hours=1), wanted)
    await in_state(there, org, id, "done")
    items = (await there.ask(LIST_DEVICES, ListDevices(organization=org))).items
    assert sorted(item.id for item in items) == ["ghost", "r1"], "the integration's own message is untouched"
    assert [device for device, _, _ in await readings(there, org)] == ["ghost", "r1", "r1"]
