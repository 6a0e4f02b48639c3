"""What the telemetry service is told."""

from __future__ import annotations

from typing import Literal

from pydantic import SecretStr

from contracts.retention import DEFAULT
from runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    database_url: SecretStr
    """SQLAlchemy URL of the projector's role, which bypasses row security (COPY is refused under it)."""
    database_query_url: SecretStr
    """SQLAlchemy URL of the role that answers queries, under row security."""

    batch_messages_max: int = 4000
    """Of one transaction. Above, PostgreSQL gains nothing; below 1,000 each commit begins to weigh."""
    batch_bytes_max: int = 16 * 1024 * 1024
    """Payloads waiting in memory; as much again is being written."""
    linger_messages: int = 200
    """Fewer than this wait a moment for more: at this many a commit weighs less than its rows."""
    linger_s: float = 0.004
    """A tenth of the 50 ms in which a reading is to be queryable."""

    expression_workers: int = 2
    """Processes for tenants' expressions that are proven, beside one for others and a spare; started with the first
    rule. An organization has one at a time."""

    query_pool_size: int = 8
    """Connections for queries: two cores answer no more at a time; others wait their turn."""
    query_timeout_s: float = 8.0
    """Below the 10 s that callers wait."""
    export_pool_size: int = 2
    """Connections for exports: their pages wait for each other, and take none from those who ask for a screen."""
    export_timeout_s: float = 30.0
    """Of a page, which takes some 50 ms: below the 40 s that the gateway waits."""

    messages_days: int = 30
    """As long as MESSAGES holds them: further back nothing can be decoded again."""
    dead_letters_days: int = 30
    """As the DEADLETTERS stream."""
    samples_days: int = DEFAULT.raw_days
    """Readings, where the organization chose nothing; so long MESSAGES holds what they were decoded of."""
    minutes_days: int = DEFAULT.minutes_days
    """Roll-ups by the minute, where it chose nothing."""
    hours_days: int | None = DEFAULT.hours_days
    """Roll-ups by hour and day, where it chose nothing; None: for ever. A metric takes 3 KB a day."""
    activity_days: int = 90
    """As the ACTIVITY stream."""
    alerts_days: int = 400
    """As the ALERTS stream; what is open stays."""
    stats_minutes_days: int = 14
    """Of statistics, and of how many devices were online: two weeks to look at closely; then hours say enough."""
    stats_hours_days: int = 90
    """As activity: a row an hour of each device and credential that was heard of in it."""
    commands_days: int = 30
    """As the COMMANDS stream."""
    rollup_grace_s: float = 300.0
    """After the end of an hour: far longer than a batch is under way, so that nobody still writes to it unmarked."""
    rollup_settle_s: float = 60.0
    """Late readings come in numbers: an hour is computed again once a minute at most."""
    housekeeping_s: float = 600.0
    """Partitions are dropped and made ahead; a day's length leaves room for many failures."""
    metrics_by_organization: bool = False
    """Some metrics by organization as well: as many series as there are tenants, so only where they are few."""
    hosted_broker: Literal["nats", "mosquitto"] = "nats"
    """Only nats-server lists its connections."""
    reconcile_s: float = 60.0
    """How long a device may be shown online whose end nobody told of."""
