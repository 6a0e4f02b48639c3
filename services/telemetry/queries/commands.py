"""Commands to devices: a list of one device's, newest first, and one by its id."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, select, tuple_

from contracts import subjects
from contracts.calls import Page
from contracts.device_command_state import fold, view
from contracts.device_commands import (
    COMMAND_ID,
    Answer,
    CommandFailure,
    DeviceCommandView,
    GetDeviceCommand,
    ListDeviceCommands,
    shown,
)
from contracts.failures import Refused
from runtime.event_log import EventLog
from services.telemetry.queries import cursors
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import device_commands

_KIND = "commands"
_ORDER = (device_commands.c.queued_at, device_commands.c.id)
_SHOWN = DeviceCommandView.model_fields.keys() - {"payload", "encoding", "answer", "failure"}


async def list_commands(store: ReadStore, query: ListDeviceCommands) -> Page[DeviceCommandView]:
    rows = await store.read(query.organization, statement(query))
    page = rows[: query.limit]
    last = page[-1] if len(rows) > query.limit else None
    cursor = last and cursors.encode(_KIND, query.organization, last.queued_at, *_halves(last.id))
    return Page(items=[_view(row) for row in page], next_cursor=cursor)


async def get_command(store: ReadStore, log: EventLog, query: GetDeviceCommand) -> DeviceCommandView:
    """As the log says, which is never behind; as the read model says where the log has let it go.

    Refused("not_found") for one that is not there, is another device's or another organization's.
    """
    held = device_commands.c
    if COMMAND_ID.fullmatch(query.id):
        command = fold(await log.read(subjects.device_command(query.organization, query.id)))
        if command is not None and command.queued.device_id == query.device_id:
            return view(query.id, command)
        wanted = select(device_commands).where(held.id == query.id, held.device_id == query.device_id)
        if command is None and (rows := await store.read(query.organization, wanted)):
            return _view(rows[0])
    raise Refused("not_found", "no such command")


def statement(query: ListDeviceCommands) -> Select[Any]:
    held = device_commands.c
    wanted = [held.device_id == query.device_id]
    if query.state is not None:
        wanted.append(held.state == query.state)
    if query.cursor is not None:
        at, high, low = cursors.decode(_KIND, query.organization, query.cursor, datetime, int, int)
        wanted += [held.queued_at <= at, tuple_(*_ORDER) < tuple_(at, f"cmd_{high:010x}{low:010x}")]
    return (
        select(device_commands)
        .where(and_(*wanted))
        .order_by(*(column.desc() for column in _ORDER))
        .limit(query.limit + 1)
    )


def _halves(id: str) -> tuple[int, int]:
    """As cursors hold it: numbers."""
    digits = id.removeprefix("cmd_")
    return int(digits[:10], 16), int(digits[10:], 16)


def _view(row: Row[Any]) -> DeviceCommandView:
    payload, encoding = shown(row.payload)
    answer = failure = None
    if row.answer is not None:
        said, form = shown(row.answer)
        answer = Answer(topic=row.answer_topic, payload=said, encoding=form, message=row.answer_message)
    if row.failure_code is not None:
        failure = CommandFailure(code=row.failure_code, detail=row.failure_detail)
    fields = {name: getattr(row, name) for name in _SHOWN}
    return DeviceCommandView(**fields, payload=payload, encoding=encoding, answer=answer, failure=failure)
