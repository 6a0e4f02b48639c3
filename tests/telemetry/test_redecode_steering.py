"""Jobs that decode history again are paused, resumed, cancelled; what may not be is refused."""

import asyncio
from typing import Any

import pytest

from contracts.failures import Refused
from contracts.integrations import DecoderChoice
from contracts.redecode import (
    CANCEL_REDECODE,
    LIST_REDECODES,
    PAUSE_REDECODE,
    RESUME_REDECODE,
    ListRedecodes,
    NamedRedecode,
)
from tests.support.eventually import eventually
from tests.telemetry.redecoding import (
    CUSTOM,
    earlier,
    in_state,
    job,
    nested,
    new_organization,
    order,
    readings,
    soon,
)
from tests.telemetry.world import World

OLD, NEW = ("body.values.t", "kind"), ("t",)


async def test_a_job_is_paused_resumed_and_cancelled(there: World) -> None:
    org = await new_organization(there)
    await there.fill(org, 12_000, devices=20)
    await there.stored(await there.hosted(org, "d1", nested(1)))
    id = await order(there, org, earlier(hours=1), DecoderChoice(name="raw"))
    named = NamedRedecode(organization=org, actor="key:x", id=id)
    await eventually(lambda: _messages(there, id, 1))
    assert (await there.ask(PAUSE_REDECODE, named)).state == "paused"
    held = (await job(there, org, id)).messages
    with pytest.raises(Refused) as refused:
        await order(there, org, earlier(hours=1))
    assert refused.value.code == "redecode.running"
    await asyncio.sleep(0.5)  # it rests
    assert (await job(there, org, id)).messages == held < 12_001
    assert (await there.ask(RESUME_REDECODE, named)).state == "running"
    await eventually(lambda: _messages(there, id, held + 1))
    assert (await there.ask(CANCEL_REDECODE, named)).state == "cancelling"
    ended = await in_state(there, org, id, "cancelled")
    assert 0 < ended.messages < 12_001
    assert len(await readings(there, org)) == 12_001 - ended.messages
    for call in (PAUSE_REDECODE, RESUME_REDECODE, CANCEL_REDECODE):
        with pytest.raises(Refused) as refused:
            await there.ask(call, named)
        assert refused.value.code == "redecode.ended"
    await eventually(lambda: there.database.fetchval("SELECT reported FROM redecodes WHERE id = $1", id))
    second = await order(there, org, earlier(hours=1))
    await in_state(there, org, second, "done")
    page = await there.ask(LIST_REDECODES, ListRedecodes(organization=org, limit=1))
    assert [item.id for item in page.items] == [second]
    page = await there.ask(LIST_REDECODES, ListRedecodes(organization=org, cursor=page.next_cursor))
    assert [item.id for item in page.items] == [id]


async def _messages(there: World, id: str, least: int) -> bool:
    held = await there.database.fetchval("SELECT messages FROM redecodes WHERE id = $1", id)
    return held is not None and held >= least


async def test_what_may_not_be_is_refused(there: World) -> None:
    org, other = await new_organization(there), await new_organization(there, "Other")
    await there.stored(await there.hosted(org, "d1", nested(1)))
    start = earlier(hours=1)
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"decoder": DecoderChoice(name="nope")}, "decoder.unknown"),
        ({"end": start}, "request.invalid"),
        ({"end": earlier(hours=2)}, "request.invalid"),
        ({"start": soon().replace(year=2100)}, "request.invalid"),
        ({"integration": "int_0000000000000000"}, "not_found"),
    )
    for bad, code in wrong:
        with pytest.raises(Refused) as refused:
            await order(there, org, bad.pop("start", start), bad.pop("decoder", CUSTOM), **bad)
        assert refused.value.code == code
    with pytest.raises(Refused) as refused:
        await order(there, org, start, DecoderChoice(name="custom", settings={"telemetry_path": 7}))
    assert "decoder.settings" in (refused.value.field or "")
    id = await order(there, org, start)
    await in_state(there, org, id, "done")
    for call in (PAUSE_REDECODE, RESUME_REDECODE, CANCEL_REDECODE):
        with pytest.raises(Refused) as refused:
            await there.ask(call, NamedRedecode(organization=other, actor="key:y", id=id))
        assert refused.value.code == "not_found"
    with pytest.raises(Refused) as refused:
        await job(there, other, id)
    assert refused.value.code == "not_found"
    assert (await there.ask(LIST_REDECODES, ListRedecodes(organization=other))).items == []
