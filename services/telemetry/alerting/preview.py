"""What a rule would have done: its own decision, over what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from contracts.alert_previews import (
    DEFAULT_SPAN,
    DEVICES_SHOWN,
    JUDGED_MAX,
    SHOWN_MAX,
    SPAN_MAX,
    AlertPreview,
    PreviewAlertRule,
)
from contracts.alert_rules import (
    AlertRule,
    AllDevices,
    Condition,
    NoData,
    Offline,
    Scope,
    TaggedDevices,
    check_scope,
)
from contracts.failures import Refused
from services.telemetry.alerting.trial import Happened, Past, Trial

Look = Callable[[str, Condition, Scope, datetime, datetime, int], Awaitable[list[Past]]]
"""(organization, condition, scope, first, last, most) → what the condition looks at, the newest first."""
AT_ONCE = 2
IN_A_TURN = 500  # then others have theirs


class AlertPreviews:
    def __init__(self, look: Look, most: int = JUDGED_MAX) -> None:
        self._look, self._most = look, most
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._busy: set[str] = set()

    async def preview(self, request: PreviewAlertRule) -> AlertPreview:
        """Refused("request.invalid"), ("limit.reached"); Unavailable("store.unavailable")."""
        first, last = _span(request, datetime.now(UTC))
        check_scope(request.condition, request.scope)
        if isinstance(request.condition, Offline):
            detail = "presence is not kept by time: what such a rule would have done is not known"
            raise Refused("request.invalid", detail, field="condition.kind")
        if request.organization in self._busy:
            raise Refused("limit.reached", "another preview is under way", retry_after_s=1)
        self._busy.add(request.organization)
        try:
            async with self._turns:
                return await self._preview(request, first, last)
        finally:
            self._busy.discard(request.organization)

    async def _preview(self, request: PreviewAlertRule, first: datetime, last: datetime) -> AlertPreview:
        condition, scope = request.condition, request.scope
        # Devices that were heard no longer before than that can be silent, as for a rule that is made.
        heard_from = first - timedelta(seconds=condition.for_s) if isinstance(condition, NoData) else first
        found = await self._look(request.organization, condition, scope, heard_from, last, self._most + 1)
        complete = len(found) <= self._most
        found = found[: self._most]
        if not complete:
            first = max(first, found[-1].at)
        # Those with the tag now were asked for; who had it then is not known.
        judged = AllDevices() if isinstance(scope, TaggedDevices) else scope
        rule = AlertRule(name="preview", condition=condition, scope=judged, cooldown_s=request.cooldown_s)
        trial = Trial(request.organization, rule, first)
        for count, each in enumerate(reversed(found), 1):
            trial.take(each)
            if count % IN_A_TURN == 0:
                await asyncio.sleep(0)
        alerts = trial.end(last)
        with_alerts = [each.device_id for each in reversed(alerts) if each.device_id is not None]
        return AlertPreview(
            start=first,
            end=last,
            complete=complete,
            judged=len(found),
            opened=len(alerts),
            devices=tuple(dict.fromkeys([*with_alerts, *_devices(found)]))[:DEVICES_SHOWN],
            items=tuple(alerts[: -SHOWN_MAX - 1 : -1]),
        )


def _devices(found: list[Past]) -> list[str]:
    """The newest first."""
    named = (None if isinstance(each, Happened) else each.device for each in found)
    return [device for device in dict.fromkeys(named) if device is not None]


def _span(request: PreviewAlertRule, now: datetime) -> tuple[datetime, datetime]:
    last = min(now, request.end or now)
    first = last - DEFAULT_SPAN if request.start is None else request.start
    if first >= last:
        raise Refused("request.invalid", "it must lie before `to`, and before now", field="from")
    if last - first > SPAN_MAX:
        raise Refused("request.invalid", f"at most {SPAN_MAX.days} days are looked at", field="from")
    return first.astimezone(UTC), last.astimezone(UTC)
