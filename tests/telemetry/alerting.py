"""Rules, messages and a board of them, as tests of judging need them; nothing here does I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from contracts.activity import ActivityRecorded
from contracts.alert_rules import AlertRule, AlertRuleCreated
from contracts.alerts import AlertOpened
from contracts.decoders.choice import Origin
from services.telemetry.alerting import store
from services.telemetry.alerting.board import Changes, Device, Marks
from services.telemetry.alerting.machine import Key, State, Transition
from services.telemetry.alerting.of_activity import ActivityBoard
from services.telemetry.alerting.of_messages import MessageBoard
from services.telemetry.alerting.rules import Rules
from services.telemetry.decoding import Batch, MessageRow, SampleRow

ORG = "org_a"
HOT: dict[str, Any] = {"kind": "threshold", "metric": "t", "operator": ">", "value": 80}
SILENT: dict[str, Any] = {"kind": "no_data", "for_s": 60}
START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
_RULE: TypeAdapter[AlertRule] = TypeAdapter(AlertRule)
_ORIGIN = Origin("standard", 1, "")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def rules(*wanted: Mapping[str, Any], organization: str = ORG) -> Rules:
    """Each a condition with the fields of a rule beside it (`severity`, `scope`, …); ids are r0, r1, …"""
    held = Rules()
    for number, each in enumerate(wanted):
        put(held, f"r{number}", organization=organization, sequence=number + 1, **each)
    return held


def put(
    held: Rules, id: str, *, organization: str = ORG, sequence: int = 1, since: float = -10, **each: Any
) -> None:
    fields = {name: each.pop(name) for name in ("scope", "severity", "cooldown_s", "enabled") if name in each}
    said = _RULE.validate_json(json.dumps({"name": id, "condition": each, **fields}))
    held.apply(organization, id, AlertRuleCreated(rule=said), sequence, at(since))


def message(
    sequence: int,
    received: float,
    values: Mapping[str, Any] | None = None,
    *,
    device: str = "d",
    time: float | None = None,
    organization: str = ORG,
    failure: str | None = None,
) -> Batch:
    """A batch of one message, with one sample unless `values` is None."""
    batch = Batch()
    moment = at(received)
    batch.messages.append(
        MessageRow(moment, sequence, organization, device, 1, False, "hosted", "t", b"", failure)
    )
    if values is not None:
        numbers = [None if isinstance(value, bool | str) else float(value) for value in values.values()]
        others: dict[int, bool | str | int] = {
            n: value for n, value in enumerate(values.values()) if isinstance(value, bool | str)
        }
        measured = moment if time is None else at(time)
        batch.samples.append(
            SampleRow(
                measured,
                sequence,
                organization,
                device,
                0,
                0,
                "hosted",
                "t",
                tuple(values),
                numbers,
                others or None,
                None,
                False,
                _ORIGIN,
            )
        )
    return batch


class Stored:
    """What the database would hold; `restart` gives a board that begins with nothing else."""

    def __init__(self) -> None:
        self.states: dict[Key, State] = {}
        self.marks: dict[Device, Marks] = {}
        self.heard: dict[Device, datetime] = {}
        self.told: list[Transition] = []

    def save(self, changes: Changes) -> None:
        for key, state in changes.states.items():
            if state is None:
                self.states.pop(key, None)
            else:
                self.states[key] = store.read_state(store.state_row(state))
        for device, marks in changes.marks.items():
            self.marks[device] = store.read_marks(store.marks_text(marks))
        self.told += changes.transitions

    def opened(self) -> list[AlertOpened]:
        return [each.event for each in self.told if isinstance(each.event, AlertOpened)]

    def kinds(self) -> list[str]:
        return [each.event.type.removeprefix("alert.") for each in self.told]


class Judged(Stored):
    """A board of messages with what it has stored."""

    def __init__(self, held: Rules) -> None:
        super().__init__()
        self.rules = held
        self.board = MessageBoard(held)
        self.restart()

    def restart(self) -> None:
        self.board = MessageBoard(self.rules)
        self.board.load(list(self.states.items()))
        self._learn()

    def _learn(self) -> None:
        for organization in self.board.unknown():
            heard = {d: moment for (o, d), moment in self.heard.items() if o == organization}
            marks = {d: held for (o, d), held in self.marks.items() if o == organization}
            self.board.learn(organization, heard, marks)

    def read(self, batch: Batch) -> list[str]:
        """What it comes to: `opened`, `resolved`."""
        before = len(self.told)
        for row in batch.messages:
            if row.device is not None:
                key = (row.organization, row.device)
                self.heard[key] = max(row.received, self.heard.get(key, row.received))
        self._learn()
        self.board.follow_rules(batch.messages[-1].received)
        if self.board.concerns(batch):
            self.board.judge(batch)
        self.save(self.board.changes())
        return self.kinds()[before:]

    def clock(self, seconds: float) -> list[str]:
        before = len(self.told)
        self._learn()
        self.board.follow_rules(at(seconds))
        self.board.tick(at(seconds))
        self.save(self.board.changes())
        return self.kinds()[before:]


class Heard(Stored):
    """A board of activity with what it has stored."""

    def __init__(self, held: Rules) -> None:
        super().__init__()
        self.rules = held
        self.board = ActivityBoard(held)
        self.restart()

    def restart(self) -> None:
        self.board = ActivityBoard(self.rules)
        self.board.load(list(self.states.items()))

    def read(self, kind: str, seconds: float, *, organization: str = ORG, **fields: Any) -> list[str]:
        before = len(self.told)
        self.board.follow_rules(at(seconds))
        self.board.judge(organization, ActivityRecorded(kind=kind, **fields), at(seconds))
        self.save(self.board.changes())
        return self.kinds()[before:]

    def clock(self, seconds: float) -> list[str]:
        before = len(self.told)
        self.board.follow_rules(at(seconds))
        self.board.tick(at(seconds))
        self.save(self.board.changes())
        return self.kinds()[before:]


def feed(judged: Judged, *values: float, every: float = 1, start: float = 0) -> list[str]:
    """What a run of values comes to, one a second."""
    told = []
    for number, value in enumerate(values):
        moment = start + number * every
        told += judged.read(message(int(moment * 10) + 1, moment, {"t": value}))
    return told
