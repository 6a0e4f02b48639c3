"""From the outbox into the stream ALERTS, each transition once, and into the activity of its organization.

An alert's opening is the first event of its subject, and whatever follows is appended behind what stands there:
so a transition that is sent again, after a crash or a lost answer, finds itself, however late that is.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import groupby

import asyncpg

from contracts import alerts, envelope, subjects, upcasts
from contracts.activity import ActivityRecorded
from contracts.alerts import AlertOpened, AlertResolved
from contracts.envelope import Cause
from contracts.failures import Unavailable
from contracts.streams import ALERTS
from runtime import activity, jetstream
from runtime.bus import Bus
from runtime.event_log import EXPECTED_LAST, EventLog
from runtime.jetstream import WRONG_LAST_SEQUENCE, ApiError
from runtime.log_writer import MESSAGE_ID
from runtime.observe import log, meter, with_trace
from services.telemetry.database import AWAY

_log = log(part="alerts")
_told = meter.create_counter("hybridmq.alerts", unit="{event}", description="Alerts that opened or ended")
SOURCE = "telemetry"
TOO_LARGE = 10054  # the stream's max_msg_size
LOCK = 0x68796D61  # any number, the same for every replica
LOOK_S = 1.0  # another replica, or one that died, may have left something
BATCH = 200
ATTEMPTS = 5  # somebody acknowledges at the same moment
_WAITING = "SELECT id, organization, alert, event_id, type, at, body FROM alert_outbox ORDER BY id LIMIT $1"
_SENT = "DELETE FROM alert_outbox WHERE id = ANY($1)"


class Outbox:
    """`run()` is its task; `wake` tells it that there is something."""

    def __init__(self, bus: Bus, pool: asyncpg.Pool) -> None:
        self._bus, self._pool = bus, pool
        self._events = EventLog(bus.client, ALERTS.name)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._woken.wait()
            self._woken.clear()
            try:
                while await self._send() == BATCH:
                    pass
            except (*AWAY, Unavailable, ApiError) as error:
                _log.warning("alerts wait to be told", error=repr(error))
                await asyncio.sleep(LOOK_S)

    async def _send(self) -> int:
        """How many were sent. One replica at a time: of each alert, one transition after the other."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK):
                return 0
            rows = await connection.fetch(_WAITING, BATCH)
            if rows:
                ordered = sorted(rows, key=lambda row: (row["alert"], row["id"]))
                await asyncio.gather(
                    *(self._tell(list(held)) for _, held in groupby(ordered, key=lambda row: row["alert"]))
                )
                await connection.execute(_SENT, [row["id"] for row in rows])
        return len(rows)

    async def _tell(self, rows: list[asyncpg.Record]) -> None:
        for row in rows:
            event = upcasts.EVENTS[row["type"]].model_validate_json(row["body"])
            assert isinstance(event, AlertOpened | AlertResolved)
            if await self._append(row, event):
                noted = entry(row["alert"], event)
                _told.add(1, {"event": event.type})
                await activity.record(
                    self._bus, row["organization"], noted, SOURCE, id=row["event_id"], at=row["at"]
                )

    async def _append(self, row: asyncpg.Record, event: AlertOpened | AlertResolved) -> bool:
        """False for the end of an alert that has ended already, or whose beginning nobody knows any more."""
        subject = subjects.alert(row["organization"], row["alert"])
        for _ in range(ATTEMPTS):
            held = [] if isinstance(event, AlertOpened) else await self._events.read(subject)
            if isinstance(event, AlertResolved):
                known = alerts.fold(row["alert"], held)
                if known is None or (known.state == "resolved" and held[-1].id != row["event_id"]):
                    return False
                if known.state == "resolved":
                    return True  # by an earlier try
            headers, data = envelope.encode(
                event, id=row["event_id"], time=row["at"], cause=Cause(SOURCE, SOURCE)
            )
            headers |= {
                MESSAGE_ID: row["event_id"],
                EXPECTED_LAST: str(held[-1].sequence if held else 0),
            }
            try:
                await jetstream.request(self._bus.client, subject, data, headers=with_trace(headers))
            except ApiError as error:
                if error.code == TOO_LARGE:  # it would hold up everybody's
                    _log.error("an alert is too large for its stream", subject=subject, bytes=len(data))
                    return True
                if error.code not in WRONG_LAST_SEQUENCE:
                    raise
                if isinstance(event, AlertOpened):
                    return True  # by an earlier try: nobody else begins an alert
                continue
            return True
        raise Unavailable("log.unavailable", f"{subject} is being written by somebody else")


def entry(id: str, event: alerts.AlertEvent) -> ActivityRecorded:
    """The activity entry of a transition."""
    details = {"rule_id": event.rule_id, "rule_name": event.rule_name, "severity": event.severity}
    if isinstance(event, AlertResolved):
        details["why"] = event.reason
    return ActivityRecorded(
        kind=event.type,
        status="failed" if isinstance(event, AlertOpened) else "ok",
        summary=f"{event.rule_name}: {event.summary}",
        subject=f"alert:{id}",
        device_id=event.device_id,
        details=details,
    )
