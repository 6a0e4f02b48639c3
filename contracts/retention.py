"""How long readings are kept: as they came, and as roll-ups; chosen by an organization, held by telemetry."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from contracts.calls import Call, Model, Request
from contracts.envelope import Event
from contracts.telemetry import Names

Days = Annotated[int, Field(ge=1, le=36_500)]


class Retention(Model):
    """Days, of UTC, by the readings' own times. What holds longer spans is kept at least as long as what it is of."""

    raw_days: Days  # readings and messages
    minutes_days: Days  # roll-ups by the minute
    hours_days: Days | None  # roll-ups by hour and day; None: for ever

    def ordered(self) -> bool:
        return self.raw_days <= self.minutes_days <= (self.hours_days or self.minutes_days)


DEFAULT = Retention(raw_days=30, minutes_days=180, hours_days=None)


# events
class OrganizationRetentionChanged(Event):
    type = "organization.retention-changed"
    retention: Retention


# commands and queries
class ChangeRetention(Request):
    """Refused("request.invalid") where a longer span is kept for less, "limit.reached" above the platform's maximum."""

    retention: Retention


class GetRetention(Model):
    organization: str


LEFT_MAX = 100_000  # rows that are counted: there may be more


DeletionState = Literal["waiting", "running", "done"]


class Deletion(Model):
    """How far it is: `waiting` for its turn, or for roll-ups that are to be computed of it before.

    `rows_deleted` since `began_at`, one by one: days that nobody keeps longer go as a whole, and uncounted. `rows_left`
    are of readings and messages, LEFT_MAX: so many or more; `rollups_left`: of roll-ups there are some."""

    state: DeletionState
    began_at: datetime | None
    ended_at: datetime | None
    rows_deleted: int
    rows_left: int
    rollups_left: bool


class RetentionView(Retention):
    """What holds, and since when there is anything of each: what was let go does not come back."""

    chosen: bool  # False: the platform's default
    raw_since: datetime | None = None
    minutes_since: datetime | None = None
    hours_since: datetime | None = None
    deletion: Deletion | None = None  # of what is past it; None: nothing had to go yet


Tier = Literal["readings", "messages", "minutes", "hours", "days"]


class GetStorage(Model):
    """Refused("not_found") for a device that was never heard of."""

    organization: str
    device_id: Names = ()


class Stored(Model):
    """Estimated from the database's statistics: right to some percent for those that have much, an average else."""

    tier: Tier
    rows: int
    bytes: int  # with indexes


class DeviceStorage(Model):
    device_id: str
    bytes: int
    items: tuple[Stored, ...]


class StorageView(Model):
    """Of the organization, and of the devices that were asked for."""

    bytes: int
    items: tuple[Stored, ...]
    devices: tuple[DeviceStorage, ...] = ()


CHANGE_RETENTION = Call("command.credentials.change-retention", ChangeRetention, Retention)
GET_RETENTION = Call("query.telemetry.retention", GetRetention, RetentionView, timeout_s=10.0)
GET_STORAGE = Call("query.telemetry.storage", GetStorage, StorageView, timeout_s=10.0)
