"""Dead letters decoded once more after a fix: exactly those, once, and the same after a rebuild."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.dead_letter_calls import (
    DISCARD_DEAD_LETTERS,
    LIST_DEAD_LETTERS,
    RETRY_DEAD_LETTERS,
    DeadLetterFilter,
    DeadLetterRow,
    DiscardDeadLetters,
    ListDeadLetters,
    Retried,
    RetryDeadLetters,
)
from contracts.failures import Refused
from contracts.integrations import CHANGE_INTEGRATION, HOSTED, ChangeIntegration, DecoderChoice
from contracts.telemetry import LIST_TELEMETRY, ListTelemetry
from tests.support.eventually import eventually
from tests.telemetry.redecoding import new_organization, readings
from tests.telemetry.test_rebuild import finished, start
from tests.telemetry.world import World


async def letters(there: World, org: str, count: int, **query: Any) -> list[DeadLetterRow]:
    """Oldest first."""

    async def found() -> bool:
        held[:] = (await there.ask(LIST_DEAD_LETTERS, ListDeadLetters(organization=org, **query))).items
        return len(held) == count

    held: list[DeadLetterRow] = []
    await eventually(found)
    return held[::-1]


async def retry(there: World, org: str, **chosen: Any) -> Retried:
    return await there.ask(RETRY_DEAD_LETTERS, RetryDeadLetters(organization=org, actor="key:k", **chosen))


async def choose_decoder(there: World, org: str, name: str) -> None:
    change = ChangeIntegration(organization=org, actor="key:k", id=HOSTED, decoder=DecoderChoice(name=name))
    await there.ask(CHANGE_INTEGRATION, change)


async def test_after_a_fix_exactly_the_chosen_ones_are_resolved(there: World) -> None:
    org = await new_organization(there)
    sequences = [await there.hosted(org, "d1", f"{{broken {number}".encode()) for number in range(3)]
    good = await there.hosted(org, "d1", {"fine": 1})
    first, second, third = await letters(there, org, 3)
    still = await retry(there, org, ids=(second.id,))
    assert (still.chosen, still.resolved, still.finished) == (1, 0, True)  # nothing was mended yet

    await choose_decoder(there, org, "text")

    async def resolved() -> bool:
        return (await retry(there, org, ids=(second.id,))).resolved == 1

    await eventually(resolved)  # the change is on its way to telemetry
    assert [row.id for row in await letters(there, org, 2)] == [first.id, third.id]
    (done,) = await letters(there, org, 1, state="resolved")
    assert done.id == second.id
    assert done.closed_by is not None
    assert done.closed_by.startswith("redecode:")
    assert [(device, sequence) for device, sequence, _ in await readings(there, org)] == [
        ("d1", sequences[1]),
        ("d1", good),
    ]
    failures = await there.database.fetch(
        "SELECT sequence, failure FROM messages WHERE sequence = ANY($1) ORDER BY sequence", sequences
    )
    assert [row["failure"] is None for row in failures] == [False, True, False]
    assert (await retry(there, org, ids=(second.id,))).chosen == 0  # resolved already: harmless


async def test_all_that_match_are_retried_but_what_was_discarded_stays_away(there: World) -> None:
    org = await new_organization(there)
    for number in range(4):
        await there.hosted(org, f"d{number}", b"{broken")
    held = await letters(there, org, 4)
    await there.ask(
        DISCARD_DEAD_LETTERS, DiscardDeadLetters(organization=org, actor="key:k", ids=(held[1].id,))
    )
    await choose_decoder(there, org, "text")

    async def resolved() -> bool:
        return (await retry(there, org, filter=DeadLetterFilter(reason="payload.not_json"))).resolved == 3

    await eventually(resolved)
    await letters(there, org, 0)
    assert {device for device, *_ in await readings(there, org)} == {"d0", "d2", "d3"}
    page = await there.ask(LIST_TELEMETRY, ListTelemetry(organization=org, device_id=("d2",)))
    assert [list(row.metrics.values()) for row in page.items] == [["{broken"]]


async def test_a_rebuild_gives_what_a_retry_gave(there: World) -> None:
    org = await new_organization(there)
    for _ in range(2):
        await there.hosted(org, "d1", b"{broken")
    first, _second = await letters(there, org, 2)
    await choose_decoder(there, org, "text")

    async def resolved() -> bool:
        return (await retry(there, org, ids=(first.id,))).resolved == 1

    await eventually(resolved)
    before = await there.dump()
    await start(there)
    assert (await finished(there)).state == "done"
    assert await there.dump() == before
    assert len(await readings(there, org)) == 1


async def test_another_organizations_letter_is_as_if_it_were_not(there: World) -> None:
    org, other = await new_organization(there), await new_organization(there, "Other")
    await there.hosted(other, "d1", b"{broken")
    (theirs,) = await letters(there, other, 1)
    with pytest.raises(Refused, match="no such"):
        await retry(there, org, ids=(theirs.id,))
    assert (await retry(there, org, filter=DeadLetterFilter())).chosen == 0
    await letters(there, other, 1)
