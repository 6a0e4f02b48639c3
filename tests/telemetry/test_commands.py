"""Commands to devices as queries show them: the row that their events made, or what the log says."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic_core import from_json, to_json

from contracts import subjects
from contracts.device_commands import (
    GET_DEVICE_COMMAND,
    LIST_DEVICE_COMMANDS,
    DeviceCommandAnswered,
    DeviceCommandDelivered,
    DeviceCommandExpired,
    DeviceCommandFailed,
    DeviceCommandQueued,
    DeviceCommandSent,
    DeviceCommandView,
    GetDeviceCommand,
    ListDeviceCommands,
    new_command_id,
)
from contracts.envelope import Cause, Event
from contracts.failures import Refused
from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from runtime.event_log import Append, EventLog
from services.telemetry.commands import COMMANDS_READ
from services.telemetry.database import connect
from services.telemetry.entities import forget_once
from tests.support.clients import platform_client
from tests.telemetry.world import World, organization

QUEUED = DeviceCommandQueued(
    device_id="d1",
    integration_id="hosted",
    topic="org_a/commands/d1/set",
    payload="/wA=",
    qos=1,
    retain=False,
    response_topic="org_a/devices/d1/responses/x",
    correlation_id="x",
    answer_expected=True,
    expires_in_s=60,
)
ANSWERED = DeviceCommandAnswered(
    topic="org_a/devices/d1/responses/x", payload=base64.b64encode(b"done").decode(), message=7
)


class Log:
    def __init__(self, here: World) -> None:
        self.here, self._log = here, EventLog(here.gateway, "COMMANDS")
        self.last = 0

    async def write(self, org: str, *events: Event, at: datetime | None = None) -> str:
        """A command with these events; its id."""
        id, expected = new_command_id(None), 0
        for event in events:
            append = Append(subjects.device_command(org, id), event, expected)
            now = at or datetime.now(UTC)
            [done] = await self._log.append([append], cause=Cause("key:k", "test"), now=now)
            expected = self.last = done.sequence
        return id

    async def shown(self, org: str, id: str, device: str = "d1") -> DeviceCommandView:
        await self.here.stored(self.last, "commands")
        asked = GetDeviceCommand(organization=org, device_id=device, id=id)
        return await self.here.ask(GET_DEVICE_COMMAND, asked)


@pytest.fixture
def log(here: World) -> Log:
    return Log(here)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ((), "queued"),
        ((DeviceCommandSent(attempt=1),), "sent"),
        ((DeviceCommandSent(attempt=1), DeviceCommandDelivered(remark="nobody")), "delivered"),
        ((DeviceCommandSent(attempt=1), DeviceCommandDelivered(), ANSWERED), "answered"),
        ((ANSWERED,), "answered"),
        ((DeviceCommandSent(attempt=1), DeviceCommandSent(attempt=2), DeviceCommandExpired()), "expired"),
        ((DeviceCommandFailed(code="broker.refused", detail="Not authorized"),), "failed"),
    ],
)
async def test_a_row_is_what_the_events_say(
    log: Log, events: tuple[Event, ...], state: str, database: DatabaseUrls
) -> None:
    org = organization()
    id = await log.write(org, QUEUED, *events)
    held = await log.shown(org, id)
    assert (held.id, held.state, held.payload, held.encoding) == (id, state, "/wA=", "base64")
    assert held.expires_at - held.queued_at == timedelta(seconds=60)
    assert (held.ended_at is not None) == (state in ("answered", "expired", "failed"))
    assert held.actor == "key:k"
    if ANSWERED in events:
        assert held.answer is not None
        assert (held.answer.payload, held.answer.encoding, held.answer.message) == ("done", "utf-8", 7)
    if state == "expired":
        assert held.attempts == 2
    if state == "failed":
        assert held.failure is not None
        assert held.failure.code == "broker.refused"
    query = ListDeviceCommands(organization=org, device_id="d1")
    assert (await log.here.ask(LIST_DEVICE_COMMANDS, query)).items == [held], "the row says otherwise"


async def test_one_that_the_log_has_let_go_is_shown_from_its_row(log: Log, own_nats: NatsServer) -> None:
    org = organization()
    id = await log.write(org, QUEUED, ANSWERED)
    held = await log.shown(org, id)
    async with platform_client(own_nats, "provision") as client:
        admin = "$JS.API.STREAM.UPDATE.COMMANDS"
        info = from_json((await client.request("$JS.API.STREAM.INFO.COMMANDS", b"")).data)["config"]
        for limit in (1, -1):
            reply = await client.request(admin, to_json({**info, "max_msgs": limit}))
            assert "error" not in from_json(reply.data)
    await log.write(org, QUEUED)
    assert await log.shown(org, id) == held


async def test_lists_are_newest_first_and_page(log: Log) -> None:
    org, at = organization(), datetime.now(UTC)
    ids = [await log.write(org, QUEUED, at=at + timedelta(seconds=number // 2)) for number in range(5)]
    await log.write(org, QUEUED.model_copy(update={"device_id": "d2"}))
    await log.here.stored(log.last, "commands")
    found: list[str] = []
    cursor: str | None = None
    while True:
        query = ListDeviceCommands(organization=org, device_id="d1", limit=2, cursor=cursor)
        page = await log.here.ask(LIST_DEVICE_COMMANDS, query)
        found += [item.id for item in page.items]
        if (cursor := page.next_cursor) is None:
            break
    expected = [*sorted(ids[4:]), *sorted(ids[2:4], reverse=True), *sorted(ids[:2], reverse=True)]
    assert found == expected


async def test_a_list_is_of_one_state(log: Log) -> None:
    org = organization()
    await log.write(org, QUEUED)
    sent = await log.write(org, QUEUED, DeviceCommandSent(attempt=1))
    await log.here.stored(log.last, "commands")
    query = ListDeviceCommands(organization=org, device_id="d1", state="sent")
    assert [item.id for item in (await log.here.ask(LIST_DEVICE_COMMANDS, query)).items] == [sent]


async def test_another_organization_sees_nothing_of_it(log: Log) -> None:
    org, other = organization(), organization()
    id = await log.write(org, QUEUED)
    await log.write(other, QUEUED)
    for asked in ((other, id, "d1"), (org, id, "d2"), (org, "cmd_x", "d1"), (org, "*", "d1")):
        with pytest.raises(Refused) as refused:
            await log.shown(asked[0], asked[1], asked[2])
        assert refused.value.code == "not_found"
    query = ListDeviceCommands(organization=other, device_id="d1")
    assert id not in [item.id for item in (await log.here.ask(LIST_DEVICE_COMMANDS, query)).items]


async def test_a_forged_cursor_is_refused(log: Log) -> None:
    query = ListDeviceCommands(organization=organization(), device_id="d1", cursor="nope")
    with pytest.raises(Refused) as refused:
        await log.here.ask(LIST_DEVICE_COMMANDS, query)
    assert refused.value.code == "cursor.invalid"


async def test_old_ones_go(log: Log, database: DatabaseUrls) -> None:
    org = organization()
    old = await log.write(org, QUEUED, at=datetime.now(UTC) - timedelta(days=31))
    kept = await log.write(org, QUEUED, at=datetime.now(UTC) - timedelta(days=29))
    await log.here.stored(log.last, "commands")
    pool = await connect(database.projector)
    assert await forget_once(pool, COMMANDS_READ, 30) >= 1
    await pool.close()
    rows: list[Any] = await log.here.database.fetch(
        "SELECT id FROM device_commands WHERE id = ANY($1)", [old, kept]
    )
    assert [row["id"] for row in rows] == [kept]


async def test_the_same_events_again_change_nothing(log: Log, own_nats: NatsServer) -> None:
    org = organization()
    id = await log.write(
        org, QUEUED, DeviceCommandSent(attempt=1), DeviceCommandDelivered(), DeviceCommandExpired()
    )
    await log.shown(org, id)
    query = ListDeviceCommands(organization=org, device_id="d1")
    before = await log.here.ask(LIST_DEVICE_COMMANDS, query)
    again = EventLog(log.here.gateway, "COMMANDS")
    events = await again.read(subjects.device_command(org, id))
    expected = events[-1].sequence
    for recorded in events:  # as after a restored log: another sequence, the same event
        append = Append(recorded.subject, recorded.event, expected)
        [done] = await again.append([append], cause=Cause("key:k", "test"), now=recorded.time)
        expected = log.last = done.sequence
    await log.here.stored(log.last, "commands")
    assert await log.here.ask(LIST_DEVICE_COMMANDS, query) == before
