"""Publishes that work are told by the first ones and a number; what fails is told each time."""

from __future__ import annotations

from typing import Any

from contracts.activity import ActivityRecorded
from services.ingest.publish_notes import FIRST, PublishNotes


class Told:
    """What is noted, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, ActivityRecorded, str]] = []

    def note(self, organization: str, event: ActivityRecorded, actor: str, **_: Any) -> None:
        self.events.append((organization, event, actor))


def publish(notes: PublishNotes, *, failed: bool = False, organization: str = "o", messages: int = 1) -> None:
    event = ActivityRecorded(
        kind="publish.failed" if failed else "publish.ok", status="failed" if failed else "ok"
    )
    notes.note(organization, "int_1", "key:k", event, messages)


def test_the_first_ones_are_told_and_the_others_counted() -> None:
    told = Told()
    notes = PublishNotes(told)  # type: ignore[arg-type]
    for _ in range(FIRST + 5):
        publish(notes)
    publish(notes, messages=100)
    assert len(told.events) == FIRST
    notes.close(0)
    assert len(told.events) == FIRST, "the minute is not over"
    notes.close(float("inf"))
    organization, event, actor = told.events[-1]
    assert (organization, actor, event.kind, event.subject) == (
        "o",
        "key:k",
        "publish.ok",
        "integration:int_1",
    )
    assert event.details == {"publishes": 6, "messages": 105}
    publish(notes)
    assert len(told.events) == FIRST + 2, "another minute"


def test_no_failure_is_counted_instead_of_told() -> None:
    told = Told()
    notes = PublishNotes(told)  # type: ignore[arg-type]
    for _ in range(FIRST + 5):
        publish(notes)
        publish(notes, failed=True)
    kinds = [event.kind for _, event, _ in told.events]
    assert (kinds.count("publish.failed"), kinds.count("publish.ok")) == (FIRST + 5, FIRST)


def test_one_who_publishes_little_is_told_beside_one_who_publishes_much() -> None:
    told = Told()
    notes = PublishNotes(told)  # type: ignore[arg-type]
    for _ in range(100):
        publish(notes)
    publish(notes, organization="p")
    assert told.events[-1][0] == "p"
    notes.close(float("inf"))
    assert [organization for organization, _, _ in told.events].count("p") == 1
