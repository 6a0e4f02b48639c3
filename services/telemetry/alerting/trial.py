"""A rule on trial: the boards that judge what comes, over what came. Pure.

The clock stands at each moment that something waits for, so that durations and silence end when they would have.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from contracts.activity import ActivityRecorded
from contracts.alert_previews import PreviewedAlert
from contracts.alert_rules import LINKS, AlertRule, AlertRuleChanged
from contracts.alerts import AlertOpened, AlertResolved
from contracts.decoders.choice import Origin
from services.telemetry.alerting.of_activity import ActivityBoard
from services.telemetry.alerting.of_messages import MessageBoard
from services.telemetry.alerting.rules import Rules
from services.telemetry.decoding import Batch, MessageRow, SampleRow

_ORIGIN = Origin("", 0, "")
_MOMENT = timedelta(microseconds=1)


class Reading(NamedTuple):
    at: datetime
    sequence: int
    device: str
    metric: str
    number: float | None
    other: bool | str | int | None


class Came(NamedTuple):
    """A message; `failure` of one that became a dead letter."""

    at: datetime
    sequence: int
    device: str | None
    source: str
    failure: str | None


class Happened(NamedTuple):
    at: datetime
    event: ActivityRecorded


Past = Reading | Came | Happened


class Trial:
    """Of a rule that holds from `since` on; `take` in order, then `end`."""

    def __init__(self, organization: str, rule: AlertRule, since: datetime) -> None:
        self._organization = organization
        rules = Rules()
        # In the place of the built-in rule, which would be judged beside it.
        rules.apply(organization, LINKS, AlertRuleChanged(rule=rule), 1, since)
        self._messages, self._activity = MessageBoard(rules), ActivityBoard(rules)
        for board in (self._messages, self._activity):
            board.load(())
            board.follow_rules(since)
        self._messages.learn(organization, {}, {})
        self._alerts: dict[str, PreviewedAlert] = {}

    def take(self, past: Past) -> None:
        self._tick(past.at - _MOMENT)  # what comes is judged before the clock of its moment
        if isinstance(past, Happened):
            self._activity.judge(self._organization, past.event, past.at)
        else:
            self._messages.judge(_batch(self._organization, past))

    def end(self, at: datetime) -> list[PreviewedAlert]:
        """Its alerts, the oldest first."""
        self._tick(at)
        self._tell()
        return list(self._alerts.values())

    def _tick(self, at: datetime) -> None:
        for board in (self._messages, self._activity):
            while (due := board.first_due()) is not None and due <= at:
                board.tick(due)

    def _tell(self) -> None:
        for board in (self._messages, self._activity):
            for told in board.changes().transitions:
                match told.event:
                    case AlertOpened() as event:
                        self._alerts[told.alert] = PreviewedAlert(
                            device_id=event.device_id,
                            integration_id=event.integration_id,
                            since=event.since,
                            opened_at=told.at,
                            summary=event.summary,
                        )
                    case AlertResolved():
                        held = self._alerts[told.alert]
                        self._alerts[told.alert] = held.model_copy(update={"resolved_at": told.at})


def _batch(organization: str, past: Reading | Came) -> Batch:
    batch = Batch()
    if isinstance(past, Came):
        row = (past.at, past.sequence, organization, past.device, 0, False, past.source, "", b"")
        batch.messages.append(MessageRow(*row, past.failure))
        return batch
    batch.messages.append(
        MessageRow(past.at, past.sequence, organization, past.device, 0, False, "", "", b"", None)
    )
    batch.samples.append(
        SampleRow(
            past.at,
            past.sequence,
            organization,
            past.device,
            0,
            0,
            "",
            "",
            (past.metric,),
            [past.number],
            None if past.other is None else {0: past.other},
            None,
            False,
            _ORIGIN,
        )
    )
    return batch
