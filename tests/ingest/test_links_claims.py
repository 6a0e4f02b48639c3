"""Who owns a link, and what becomes of what a former owner still writes; how links are shared out."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from contracts import subjects
from deploy.local.nats import NatsServer
from runtime.log_writer import LogWriter, Stored
from services.ingest import shares
from services.ingest.claim import Claim, last_claims
from services.ingest.links import Key
from services.ingest.shares import Seen
from tests.support.clients import platform_client
from tests.support.eventually import eventually

KEY, OTHER = Key("org_a", "int_a"), Key("org_a", "int_b")


@pytest.fixture
async def ingest(own_nats: NatsServer) -> AsyncIterator[Client]:
    async with platform_client(own_nats, "ingest") as client:
        yield client


async def test_of_two_that_claim_a_link_one_gets_it(ingest: Client) -> None:
    key = Key("org_a", "int_two")
    first, second = Claim(ingest, key, "one"), Claim(ingest, key, "two")
    won = await asyncio.gather(first.make(0), second.make(0))
    assert sorted(won) == [False, True]
    winner, loser = (first, second) if won[0] else (second, first)
    assert await winner.holds()
    assert await last_claims(ingest, [key, OTHER]) == {key: (winner.owner, winner.sequence)}
    await winner.give_up()
    [(owner, sequence)] = (await last_claims(ingest, [key])).values()
    assert owner is None
    assert await loser.make(sequence)


async def test_a_former_owners_message_is_refused_and_its_neighbours_in_the_batch_are_stored(
    ingest: Client,
) -> None:
    former, other = Claim(ingest, KEY, "one"), Claim(ingest, OTHER, "one")
    assert await former.make(0)
    assert await other.make(0)
    stale, good = former.condition, other.condition
    assert await Claim(ingest, KEY, "two").make(former.sequence)
    assert not await former.holds()
    outcomes: dict[str, list[Stored | None]] = {"stale": [], "good": []}
    writer = LogWriter(ingest)
    for number in range(40):
        name, condition, key = ("stale", stale, KEY) if number % 2 else ("good", good, OTHER)
        subject, lines = subjects.message(*key, "d"), f"Nats-Msg-Id: {name}-{number}\r\n"
        writer.submit(subject, lines, b"x", outcomes[name].append, condition=condition)
    task = asyncio.create_task(writer.run())
    try:
        await eventually(lambda: len(outcomes["stale"]) + len(outcomes["good"]) == 40, timeout_s=20)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert outcomes["stale"] == [None] * 20
    assert all(stored is not None for stored in outcomes["good"])


async def test_a_claim_that_the_log_no_longer_holds_is_no_claim(ingest: Client) -> None:
    claim = Claim(ingest, Key("org_a", "int_gone"), "one", sequence=7)
    assert not await claim.holds()
    assert not await claim.renew()


LINKS = [Key("org_a", f"int_{number}") for number in range(600)]


def seen(me: str, replicas: dict[str, float], owners: dict[Key, str | None], **given: object) -> Seen:
    mine = [key for key in LINKS if owners.get(key) == me]
    held = {"now": 100.0, "free_since": {}, "trusted": True, **given}
    return Seen(me=me, replicas=replicas, links=LINKS, mine=mine, owners=owners, **held)  # type: ignore[arg-type]


def test_free_links_are_shared_evenly_and_without_overlap() -> None:
    replicas = {"a": 0.0, "b": 0.0, "c": 0.0}
    taken = [key for me in replicas for key in shares.decide(seen(me, replicas, {})).take]
    assert sorted(taken) == sorted(LINKS)
    by_replica = Counter(shares.first_choice(key, replicas) for key in LINKS)
    assert all(140 < count < 260 for count in by_replica.values()), by_replica


def test_who_joins_gets_only_its_share_and_nothing_moves_between_the_others() -> None:
    before = {key: shares.first_choice(key, {"a", "b"}) for key in LINKS}
    after = {key: shares.first_choice(key, {"a", "b", "c"}) for key in LINKS}
    moved = {key for key in LINKS if before[key] != after[key]}
    assert {after[key] for key in moved} == {"c"}


def test_a_replica_gives_to_one_that_has_been_there_for_a_while_and_a_few_at_once() -> None:
    owners: dict[Key, str | None] = dict.fromkeys(LINKS, "a")
    assert shares.decide(seen("a", {"b": 99.0}, owners)).give == []
    given = shares.decide(seen("a", {"b": 90.0}, owners)).give
    assert len(given) == shares.GIVEN_AT_ONCE
    assert {shares.first_choice(key, {"a", "b"}) for key in given} == {"b"}


def test_a_living_owner_keeps_its_links_and_a_dead_one_loses_them() -> None:
    owners: dict[Key, str | None] = dict.fromkeys(LINKS, "b")
    assert shares.decide(seen("a", {"b": 0.0}, owners)).take == []
    assert shares.decide(seen("a", {}, owners)).take == LINKS


def test_after_an_outage_of_the_log_nobody_is_taken_for_dead_but_what_was_given_up_is_taken() -> None:
    owners: dict[Key, str | None] = dict.fromkeys(LINKS, "b") | {LINKS[0]: None}
    assert shares.decide(seen("a", {}, owners, trusted=False)).take == [LINKS[0]]


def test_a_link_that_its_first_choice_passes_over_is_taken_by_another() -> None:
    key = next(key for key in LINKS if shares.first_choice(key, {"a", "b"}) == "b")
    assert key not in shares.decide(seen("a", {"b": 0.0}, {}, free_since={key: 99.0})).take
    assert key in shares.decide(seen("a", {"b": 0.0}, {}, free_since={key: 90.0})).take


def test_a_claim_whose_answer_was_lost_is_taken_up() -> None:
    held = Seen("a", 1.0, {"b": 0.0}, [KEY], [], {KEY: "a"}, {}, trusted=False)
    assert shares.decide(held).take == [KEY]
