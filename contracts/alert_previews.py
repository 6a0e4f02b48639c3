"""What an alert rule would have done, had it been made at a time: judged over what is stored; nothing is told.

Readings are judged in the order of their own times, as if each had come at its time. Alerts of a rule that holds are
judged as messages come: what came late is not in them, and is in a preview.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field

from contracts.alert_rules import AllDevices, Condition, Cooldown, Scope
from contracts.calls import Call, Model

JUDGED_MAX = 20_000  # readings, messages or entries: less than a second of one core, in turns with all else
SPAN_MAX = timedelta(days=31)
DEFAULT_SPAN = timedelta(days=1)
SHOWN_MAX = 200  # alerts
DEVICES_SHOWN = 8


class PreviewAlertRule(Model):
    """Without `end` until now, without `start` a day before that.

    Refused("request.invalid") for what is not kept by time (`offline`) and for spans that cannot be;
    ("limit.reached") while another one of the organization is under way.
    """

    organization: str
    condition: Condition
    scope: Scope = AllDevices()
    cooldown_s: Cooldown = 0
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None


class PreviewedAlert(Model):
    """`resolved_at` None: it would still be open at the end."""

    device_id: str | None = None
    integration_id: str | None = None
    since: datetime
    opened_at: datetime
    resolved_at: datetime | None = None
    summary: str


class AlertPreview(Model):
    """`start` is later than asked where there was more than is judged: then `complete` is false.

    `items` are the newest SHOWN_MAX of all that `opened`; `devices` some of those that were looked at, first those
    that would have had an alert."""

    start: datetime
    end: datetime
    complete: bool
    judged: Annotated[int, Field(ge=0)]
    opened: Annotated[int, Field(ge=0)]
    devices: tuple[str, ...] = ()
    items: tuple[PreviewedAlert, ...] = ()


PREVIEW_ALERT_RULE = Call("query.telemetry.alert-preview", PreviewAlertRule, AlertPreview, timeout_s=15.0)
