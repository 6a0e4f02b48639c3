"""Writes what happened into the ACTIVITY log, for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from uuid_utils import uuid7

from contracts import envelope, subjects
from contracts.activity import ActivityRecorded, Status
from contracts.envelope import Cause
from contracts.failures import Unavailable
from runtime.log_writer import MESSAGE_ID, LogWriter
from runtime.observe import log, with_trace

_log = log(part="activity")


class Activity:
    """Never stops whoever records: a log that is away is waited for, and what no longer fits goes to our own."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def record(
        self,
        organization: str,
        kind: str,
        *,
        status: Status = "ok",
        summary: str = "",
        subject: str | None = None,
        actor: str = "ingest",
        reason: str | None = None,
        duration_ms: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        event = ActivityRecorded(
            kind=kind,
            status=status,
            summary=summary,
            subject=subject,
            reason=reason,
            duration_ms=duration_ms,
            details=details or {},
        )
        id = str(uuid7())
        headers, body = envelope.encode(event, id=id, time=datetime.now(UTC), cause=Cause(actor, "ingest"))
        headers[MESSAGE_ID] = id
        try:
            self._writer.post(subjects.activity(organization, kind), with_trace(headers), body)
        except Unavailable:
            _log.warning("activity not recorded: too much waits", organization=organization, kind=kind)
