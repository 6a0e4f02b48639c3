"""Dead letters: listed with their reasons, inspected byte for byte, counted, discarded; each exactly once."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts import dead_letters, decoders, subjects
from contracts.dead_letter_calls import (
    COUNT_DEAD_LETTERS,
    DISCARD_DEAD_LETTERS,
    GET_DEAD_LETTER,
    LIST_DEAD_LETTERS,
    CountDeadLetters,
    DeadLetterFilter,
    DeadLetterRow,
    DiscardDeadLetters,
    Discarded,
    GetDeadLetter,
    ListDeadLetters,
)
from contracts.failures import Refused
from contracts.telemetry import LIST_ACTIVITY, ListActivity
from deploy.local.nats import NatsServer
from tests.support.clients import platform_client
from tests.support.eventually import eventually
from tests.telemetry.world import World, organization

pytestmark = pytest.mark.asyncio


async def letters(here: World, org: str, count: int, **query: Any) -> list[DeadLetterRow]:
    """All that the list has, once it has as many as expected."""

    async def found() -> list[DeadLetterRow] | None:
        page = await here.ask(LIST_DEAD_LETTERS, ListDeadLetters(organization=org, **query))
        return page.items if len(page.items) == count else None

    async def any_found() -> tuple[list[DeadLetterRow]] | None:
        items = await found()
        return None if items is None else (items,)

    return (await eventually(any_found))[0]  # type: ignore[index]


async def discard(here: World, org: str, **chosen: Any) -> Discarded:
    return await here.ask(DISCARD_DEAD_LETTERS, DiscardDeadLetters(organization=org, actor="key:k", **chosen))


async def test_a_claim_to_a_link_is_no_message(here: World) -> None:
    """It stands in MESSAGES beside them, with `links` where they have their organization."""
    org = organization()
    await here.write(subjects.link_claim(org, "int_1"), {}, b"ingest-1")
    await here.stored(await here.bridged(org, "int_1", "sensors/x", b"\xff"))
    await letters(here, org, 1)
    query = ListDeadLetters(organization="links")
    assert (await here.ask(LIST_DEAD_LETTERS, query)).items == []


async def test_what_could_not_be_decoded_is_listed_newest_first_with_its_reason(here: World) -> None:
    org = organization()
    before = datetime.now(UTC) - timedelta(seconds=5)
    await here.hosted(org, "d1", b"{nope")
    await here.hosted(org, "d1", {"fine": 1})
    sequence = await here.bridged(org, "int_1", "sensors/x", b"\xff\x00raw")
    newest, oldest = await letters(here, org, 2)
    assert (newest.sequence, newest.integration_id, newest.topic) == (sequence, "int_1", "sensors/x")
    assert (newest.state, newest.payload_bytes, newest.preview) == ("open", 5, "\ufffd\0raw")
    assert (oldest.reason, oldest.decoder, oldest.integration_id) == (
        "payload.not_json",
        f"standard@{decoders.get('standard').version}",
        "hosted",
    )
    assert oldest.topic == f"{org}/devices/d1/telemetry"
    assert oldest.detail
    assert before < oldest.received_at <= newest.received_at


async def test_one_is_inspected_as_text_bytes_and_hex(here: World) -> None:
    org = organization()
    payload = b'{"temperature": 21.5, \x00\xff'
    await here.hosted(org, "d1", payload)
    (row,) = await letters(here, org, 1)
    letter = await here.ask(GET_DEAD_LETTER, GetDeadLetter(organization=org, id=row.id))
    assert base64.b64decode(letter.payload_base64) == payload
    assert letter.payload_text is None
    assert letter.payload_hex.splitlines() == [
        '00000000  7b 22 74 65 6d 70 65 72  61 74 75 72 65 22 3a 20  |{"temperature": |',
        "00000010  32 31 2e 35 2c 20 00 ff                           |21.5, ..|",
    ]


async def test_the_list_is_filtered_and_paged_without_a_gap(here: World) -> None:
    org = organization()
    for number in range(5):
        await here.hosted(org, f"d{number}", b"{nope")
    await here.bridged(org, "int_1", "nowhere", {"a": 1})
    await letters(here, org, 6)
    assert len(await letters(here, org, 1, integration_id="int_1", reason="device.unknown")) == 1
    assert len(await letters(here, org, 5, reason="payload.not_json", decoder="standard")) == 5
    assert len(await letters(here, org, 1, topic=f"{org}/devices/d3/telemetry")) == 1
    assert await letters(here, org, 0, to=datetime.now(UTC) - timedelta(hours=1)) == []
    seen: list[str] = []
    cursor = None
    while True:
        query = ListDeadLetters(organization=org, limit=4, cursor=cursor)
        page = await here.ask(LIST_DEAD_LETTERS, query)
        seen += [item.id for item in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert len(seen) == len(set(seen)) == 6


async def test_they_are_counted_by_reason(here: World) -> None:
    org = organization()
    for number in range(3):
        await here.hosted(org, f"d{number}", b"{nope")
    await here.bridged(org, "int_1", "nowhere", {"a": 1})
    await letters(here, org, 4)
    counts = await here.ask(COUNT_DEAD_LETTERS, CountDeadLetters(organization=org))
    assert counts.total == 4
    assert [(each.reason, each.integration_id, each.count) for each in counts.items] == [
        ("payload.not_json", "hosted", 3),
        ("device.unknown", "int_1", 1),
    ]


async def test_discarded_ones_are_out_of_the_list_and_the_message_is_not_gone(here: World) -> None:
    org = organization()
    sequence = await here.hosted(org, "d1", b"{nope")
    await here.hosted(org, "d1", b"{nope, too")
    newer, older = await letters(here, org, 2)
    assert (await discard(here, org, ids=(older.id,))).discarded == 1
    assert [row.id for row in await letters(here, org, 1)] == [newer.id]
    (gone,) = await letters(here, org, 1, state="discarded")
    assert (gone.id, gone.closed_by) == (older.id, "key:k")
    assert gone.closed_at is not None
    assert (await discard(here, org, ids=(older.id,))).discarded == 0  # already so: harmless
    assert await here.database.fetchval("SELECT failure FROM messages WHERE sequence = $1", sequence)

    async def said() -> bool:
        page = await here.ask(LIST_ACTIVITY, ListActivity(organization=org, kind=("dead-letters.discarded",)))
        return [row.details for row in page.items] == [{"count": 1}]

    await eventually(said)


async def test_all_that_match_are_discarded_at_once(here: World) -> None:
    org = organization()
    for number in range(700):
        await here.hosted(org, f"d{number % 7}", b"{nope")
    await here.bridged(org, "int_1", "nowhere", {"a": 1})
    await letters(here, org, 701, limit=1000)
    chosen = await discard(here, org, filter=DeadLetterFilter(reason="payload.not_json"))
    assert (chosen.discarded, chosen.more) == (700, False)
    assert [row.reason for row in await letters(here, org, 1)] == ["device.unknown"]


async def test_another_organization_sees_and_discards_none_of_them(here: World) -> None:
    org, other = organization(), organization()
    await here.hosted(org, "d1", b"{nope")
    await here.hosted(other, "d1", b"{nope")
    (row,) = await letters(here, org, 1)
    (theirs,) = await letters(here, other, 1)
    with pytest.raises(Refused, match="no such"):
        await here.ask(GET_DEAD_LETTER, GetDeadLetter(organization=org, id=theirs.id))
    with pytest.raises(Refused, match="no such"):
        await discard(here, org, ids=(row.id, theirs.id))
    assert (await discard(here, org, filter=DeadLetterFilter())).discarded == 1
    await letters(here, other, 1)


async def test_one_that_was_written_twice_is_one(here: World, own_nats: NatsServer) -> None:
    org = organization()
    await here.hosted(org, "d1", b"{nope")
    (row,) = await letters(here, org, 1)
    headers = dead_letters.headers(
        stream_created=str(
            await here.database.fetchval("SELECT stream_created FROM dead_letters WHERE id = $1", row.id)
        ),
        sequence=row.sequence,
        subject="message.0.x.hosted",
        source="hosted",
        topic=row.topic,
        received=row.received_at,
        stored_ns=1,
        decoder="standard",
        reason="payload.not_json",
        detail="again",
    )
    async with platform_client(own_nats, "telemetry") as client:
        answer = await client.request(
            subjects.deadletter(org, "hosted"), b"{nope", headers=headers, timeout=5
        )
        await client.request(
            subjects.deadletter(org, "hosted"), b"what is this", headers={"a": "b"}, timeout=5
        )
    assert answer.data
    await here.hosted(org, "d1", b"{nope, next")
    rows = await letters(here, org, 2)
    assert rows[1] == row
