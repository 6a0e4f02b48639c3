"""Presence: how many devices are online, now and by time."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from contracts.calls import Call, Model


class GetPresence(Model):
    """Without `to` until now, without `from_` the hour before that."""

    organization: str
    interval: Annotated[str, Field(max_length=64)] = "1m"
    from_: AwareDatetime | None = None
    to: AwareDatetime | None = None


class PresenceCounts(Model):
    """Of all devices that were heard of, or described; `hidden` ones are in the other numbers, too."""

    devices: int
    online: int
    offline: int
    unknown: int  # nobody ever said
    hidden: int


class PresencePage(Model):
    """`online` is as long as `timestamps`, the starts of the intervals: how many were online when last counted in each.

    None: nobody counted then."""

    at: datetime  # of `now`
    now: PresenceCounts
    start: datetime
    end: datetime
    interval: str
    timestamps: list[datetime]
    online: list[int | None]


GET_PRESENCE = Call("query.telemetry.presence", GetPresence, PresencePage, timeout_s=10.0)
