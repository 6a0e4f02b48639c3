"""What happened, for people: connects, refusals, link states, what was created and revoked, and by whom."""

from __future__ import annotations

from typing import Any, Literal

from contracts.envelope import Event

Status = Literal["ok", "failed", "refused"]


class ActivityRecorded(Event):
    """`kind` is dotted (`device.connected`, `link.up`); `subject` names the entity (`credential:cred_…`)."""

    type = "activity.recorded"
    kind: str
    status: Status = "ok"
    summary: str = ""
    subject: str | None = None
    device_id: str | None = None
    reason: str | None = None  # a failure code
    duration_ms: float | None = None
    details: dict[str, Any] = {}  # counts, addresses, client ids; never secrets
