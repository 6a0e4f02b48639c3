"""Every kind of activity that is written anywhere is in the table, and nothing else is; the guide shows them all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from contracts import subjects, upcasts
from contracts.activity_kinds import KINDS, direction_of, kinds_of
from contracts.device_commands import ENDED
from contracts.failures import CODES
from services.ingest.condition import SILENT

ROOT = Path(__file__).parents[2]
_KIND = re.compile(r"[a-z]+(-[a-z]+)*\.[a-z_]+(-[a-z]+)*")
# Calls that write an entry, or hand its kind on: the kind is `kind=`, or the first text that looks like one.
WRITERS = {"ActivityRecorded", "Said", "note", "_note", "add", "happened", "_happened"}


def code() -> Iterator[list[ast.AST]]:
    """All nodes of each file that may write an entry."""
    for folder in ("services", "runtime"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield list(ast.walk(ast.parse(path.read_text())))


def calls(nodes: list[ast.AST]) -> Iterator[ast.Call]:
    for node in nodes:
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in WRITERS:
                yield node


def assigned(nodes: list[ast.AST]) -> Iterator[ast.expr]:
    """What is given to a name `kind`, to be written later."""
    for node in nodes:
        if isinstance(node, ast.Assign) and any(getattr(each, "id", "") == "kind" for each in node.targets):
            yield node.value


def texts(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and _KIND.fullmatch(each.value):
            yield each.value


@cache
def said_in_code() -> frozenset[str]:
    found: set[str] = set()
    for nodes in code():
        for value in assigned(nodes):
            found.update(texts(value))
        for call in calls(nodes):
            named = [word.value for word in call.keywords if word.arg == "kind"]
            if named:
                found.update(texts(named[0]))
            elif call.args:
                found.update(next(iter([*texts(each)]), "") for each in call.args[:4] if [*texts(each)])
    return frozenset(found)


def of_the_registry() -> set[str]:
    """Types of all events that stand under an entity: credentials announces each."""
    others = {
        event.type
        for event in upcasts.EVENTS.values()
        if event.type.startswith(("device-command.", "dead-letters."))
    }
    return {event.type for event in upcasts.EVENTS.values()} - others - {"activity.recorded"}


def written() -> set[str]:
    literal = {
        kind for kind in said_in_code() if kind in KINDS or kind not in CODES
    }  # they stand side by side
    return literal | of_the_registry() | {f"command.{state}" for state in ENDED} | {SILENT}


def test_every_kind_that_is_written_is_in_the_table() -> None:
    assert written() - KINDS.keys() == set()


def test_every_kind_of_the_table_is_written() -> None:
    assert KINDS.keys() - written() == set()


def test_the_search_finds_what_is_written_in_every_way() -> None:
    """The test above would find a kind that is missing."""
    found = said_in_code()
    assert {
        "publish.failed",
        "publish.ok",
        "link.up",
        "hosted.overload",
        "log.trimmed",
        "webhook.failing",
    } <= found
    assert {"alert.opened", "device.forgotten"} <= of_the_registry()


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_one_token_of_a_subject_and_no_two_are_the_same(kind: str) -> None:
    assert _KIND.fullmatch(kind)
    assert [other for other in KINDS if subjects.activity("o", other) == subjects.activity("o", kind)] == [
        kind
    ]


def test_every_direction_has_its_kinds_and_an_old_kind_is_nobodys() -> None:
    assert {direction_of(kind) for kind in kinds_of("in")} == {"in"}
    assert sum(len(kinds_of(direction)) for direction in ("in", "out", "own")) == len(KINDS)
    assert direction_of("cat.fed") == "own"


def test_the_guide_shows_the_table() -> None:
    guide = (ROOT / "docs/guides/activity.md").read_text()
    shown = dict(re.findall(r"^\| `([a-z.\-_]+)` \| (\w+) \|", guide, re.MULTILINE))
    assert shown == {kind: held.direction for kind, held in KINDS.items()}
