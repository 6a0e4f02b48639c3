"""Orders to decode history again, as the gateway gives them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.integrations import DecoderChoice
from contracts.organizations import CREATE_ORGANIZATION, PLATFORM, CreateOrganization
from contracts.redecode import (
    GET_REDECODE,
    ORDER_REDECODE,
    PREVIEW_REDECODE,
    NamedRedecode,
    OrderRedecode,
    PreviewRedecode,
    Redecode,
    RedecodePreview,
)
from tests.support.eventually import eventually
from tests.telemetry.world import World

CUSTOM = DecoderChoice(name="custom", settings={"telemetry_path": "body.values"})


def nested(number: int) -> dict[str, Any]:
    """Read by the standard decoder as `body.values.t` and `at`; by CUSTOM as `t`."""
    return {"body": {"values": {"t": number}}, "kind": "x"}


async def new_organization(there: World, name: str = "Acme") -> str:
    made = await there.ask(
        CREATE_ORGANIZATION, CreateOrganization(organization=PLATFORM, actor="admin", name=name)
    )
    return made.id


async def order(there: World, org: str, start: datetime, decoder: DecoderChoice = CUSTOM, **more: Any) -> str:
    request = OrderRedecode(
        organization=org,
        actor="key:x",
        **{"integration": "hosted", "start": start, "decoder": decoder, **more},
    )
    return (await there.ask(ORDER_REDECODE, request)).id


async def preview(
    there: World, org: str, start: datetime, decoder: DecoderChoice = CUSTOM, **more: Any
) -> RedecodePreview:
    request = PreviewRedecode(
        organization=org,
        actor="key:x",
        **{"integration": "hosted", "start": start, "decoder": decoder, **more},
    )
    return await there.ask(PREVIEW_REDECODE, request)


async def job(there: World, org: str, id: str) -> Redecode:
    return await there.ask(GET_REDECODE, NamedRedecode(organization=org, actor="key:x", id=id))


async def in_state(there: World, org: str, id: str, *states: str, timeout_s: float = 60) -> Redecode:
    async def reached() -> bool:
        row = await there.database.fetchrow("SELECT state, reported FROM redecodes WHERE id = $1", id)
        return row is not None and row["state"] in states and (row["state"] != "done" or row["reported"])

    await eventually(reached, timeout_s=timeout_s)
    return await job(there, org, id)


async def readings(there: World, org: str) -> list[tuple[str, int, tuple[str, ...]]]:
    """Device, sequence and metrics of each sample."""
    rows = await there.database.fetch(
        "SELECT d.name, s.sequence, (SELECT array_agg(m.name ORDER BY u.at) FROM unnest(s.metrics)"
        " WITH ORDINALITY AS u (id, at) JOIN metrics m USING (id)) AS metrics FROM samples s"
        " JOIN organizations o ON o.id = s.organization JOIN devices d ON d.id = s.device"
        " WHERE o.name = $1 ORDER BY s.sequence, s.position",
        org,
    )
    return [(row["name"], row["sequence"], tuple(row["metrics"])) for row in rows]


def soon() -> datetime:
    return datetime.now(UTC)


def earlier(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)
