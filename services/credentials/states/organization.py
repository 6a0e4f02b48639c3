"""An organization."""

from __future__ import annotations

from dataclasses import dataclass, replace

from contracts.envelope import Event
from contracts.limits import Limits, OrganizationLimitsChanged
from contracts.organizations import OrganizationCreated, OrganizationDeleted
from contracts.retention import OrganizationRetentionChanged, Retention
from services.credentials.states.base import Status

NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Organization:
    status: Status = "absent"
    name: str = ""
    limits: Limits = NO_LIMITS
    retention: Retention | None = None  # None: the platform's default

    def evolve(self, event: Event) -> Organization:
        match event:
            case OrganizationCreated(name=name):
                return replace(self, status="active", name=name)
            case OrganizationLimitsChanged(limits=limits):
                return replace(self, limits=limits)
            case OrganizationRetentionChanged(retention=retention):
                return replace(self, retention=retention)
            case OrganizationDeleted():
                return replace(self, status="ended")
            case _:
                return self
