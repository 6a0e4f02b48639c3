"""What happened, for a file, oldest first: a page of lines."""

from __future__ import annotations

from sqlalchemy import BigInteger, Select, Text, and_, func, literal_column, select, tuple_

from contracts.exports import ACTIVITY_COLUMNS, ExportActivity, ExportPage
from services.telemetry.queries import positions
from services.telemetry.queries.activity import ORDER, conditions
from services.telemetry.queries.cursors import mark
from services.telemetry.queries.export_lines import Cells, Kind, joined, line, position
from services.telemetry.queries.export_pages import gathered
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import activity

_KINDS: dict[str, Kind] = {"time": "time", "duration_ms": "plain", "details": "json"}
_CELLS: Cells = {name: (f"activity.{name}", _KINDS.get(name, "text")) for name in ACTIVITY_COLUMNS[:-1]}


async def export(store: ReadStore, query: ExportActivity) -> tuple[ExportPage, bytes]:
    return gathered(await store.read(query.wanted.organization, statement(query)), query.rows)


def statement(query: ExportActivity) -> Select[str, str, int]:
    organization = query.wanted.organization
    # Hexadecimal digits, so it may stand in the statement.
    key = position(f"'{mark(organization)}'", "activity.time", "activity.sequence", "activity.epoch")
    wanted = conditions(query.wanted)
    if query.position is not None:
        time, others = positions.parse(query.position, organization, positions.ROW)
        wanted += [activity.c.time >= time, tuple_(*ORDER) > tuple_(time, *others)]
    made = line(joined(_CELLS, query.format), key, query.format)
    return (
        select(
            literal_column(made, Text).label("lines"),
            literal_column(key, Text).label("position"),
            func.row_number().over(order_by=ORDER).cast(BigInteger).label("number"),
        )
        .select_from(activity)
        .where(and_(True, *wanted))
        .order_by(*ORDER)
        .limit(query.rows)
    )
