"""How long an organization wants its readings kept: held here, carried out by telemetry, which follows the registry."""

from __future__ import annotations

from datetime import datetime

from contracts.failures import Refused
from contracts.retention import CHANGE_RETENTION, ChangeRetention, OrganizationRetentionChanged, Retention
from runtime.event_log import Append
from services.credentials.commands import Commands, Draft
from services.credentials.handlers import Registry


def check_retention(wanted: Retention, most: Retention) -> None:
    """Pure. `most` is the platform's maximum."""
    if not wanted.ordered():
        raise Refused(
            "request.invalid",
            "roll-ups are kept at least as long as what they are of: raw_days <= minutes_days <= hours_days",
            field="minutes_days",
        )
    for field in ("raw_days", "minutes_days", "hours_days"):
        asked, allowed = getattr(wanted, field), getattr(most, field)
        if allowed is not None and (asked is None or asked > allowed):
            raise Refused("limit.reached", f"at most {allowed} days", field=field, allowed=allowed)


class RetentionHandlers:
    """Handlers of the calls."""

    def __init__(self, commands: Commands, registry: Registry, most: Retention) -> None:
        self._commands, self._registry, self._most = commands, registry, most
        self._directory = registry.directory

    async def change(self, request: ChangeRetention) -> Retention:
        async def decide(_: datetime) -> Draft[Retention]:
            check_retention(request.retention, self._most)
            id = request.organization
            subject, state, last, _created = await self._registry.load(
                self._directory.organizations, "organization", id, id
            )
            if state.status == "ended":
                raise Refused("organization.deleted")
            changed = OrganizationRetentionChanged(retention=request.retention)
            appends = () if state.retention == request.retention else (Append(subject, changed, last),)
            return Draft(appends, request.retention)

        return await self._commands.run(CHANGE_RETENTION, request, decide)
