"""What the parts of telemetry are made of."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from contracts.retention import Retention
from runtime.activity import ActivityLog
from runtime.bus import Bus
from runtime.log_writer import LogWriter
from runtime.service import Service
from services.telemetry.alerting.setup import Alerting
from services.telemetry.directory import Directory
from services.telemetry.projector import Happened
from services.telemetry.settings import Settings

NAME = "telemetry"


@dataclass(frozen=True)
class Parts:
    """Made once, in `__main__`; whoever needs one of them is given all."""

    service: Service
    settings: Settings
    pool: asyncpg.Pool  # of the projector's role
    directory: Directory
    alerting: Alerting
    notes: ActivityLog
    letters: LogWriter  # into DEADLETTERS
    happened: Happened

    @property
    def bus(self) -> Bus:
        return self.service.bus

    @property
    def counts_connections(self) -> bool:
        """Whether the hosted broker can be asked who is connected."""
        return self.settings.hosted_broker == "nats"

    @property
    def retention(self) -> Retention:
        """Of who chose none."""
        return Retention(
            raw_days=self.settings.samples_days,
            minutes_days=self.settings.minutes_days,
            hours_days=self.settings.hours_days,
        )
