"""How a link is doing, and what is said of it: a state machine. Pure.

`connecting` → `up` or `refused`; `up` ⇄ `degraded` while the connection holds but something is wrong with it;
`paused` from anywhere, until it is resumed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from contracts.activity import Status
from contracts.links import LinkState

SILENT = "link.silent"


class Paused(NamedTuple):
    """By its organization."""


class Resumed(NamedTuple):
    """By its organization."""


class Anew(NamedTuple):
    """Another connection is wanted."""


class Connected(NamedTuple):
    """Subscriptions included."""


class Ended(NamedTuple):
    """The connection, or the try to make one."""

    code: str
    detail: str


class TurnedAway(NamedTuple):
    """The broker said no, or its address may not be connected to: trying again will not help by itself."""

    code: str
    detail: str


class Wrong(NamedTuple):
    """Connected, and yet."""

    code: str
    detail: str


class Right(NamedTuple):
    """What was wrong is so no longer."""

    code: str


Happening = Paused | Resumed | Anew | Connected | Ended | TurnedAway | Wrong | Right


@dataclass(frozen=True, slots=True)
class Condition:
    since: datetime
    state: LinkState = "connecting"
    code: str | None = None  # a failure's
    detail: str = ""
    wrong: dict[str, str] = field(default_factory=dict)  # of a connection: detail by code, the oldest first


class Said(NamedTuple):
    """An entry of the activity."""

    kind: str
    status: Status
    detail: str
    code: str | None = None


def evolve(held: Condition, happening: Happening, now: datetime) -> tuple[Condition, list[Said]]:
    """The condition after it, and what is to be said: once per change, a broker away for a day is one entry."""
    match happening:
        case Paused():
            return _to(held, "paused", now), _unless(
                held.state == "paused", Said("link.paused", "ok", "paused")
            )
        case Resumed():
            return _to(held, "connecting", now), _unless(
                held.state != "paused", Said("link.resumed", "ok", "resumed")
            )
        case Anew():
            return _to(held, "connecting", now), []
        case Connected():
            return _to(held, "up", now), [Said("link.up", "ok", "connected")]
        case Ended(code, detail):
            after = _to(held, "connecting", now, code, detail)
            return after, _unless(_known(held), Said("link.down", "failed", detail, code))
        case TurnedAway(code, detail):
            after = _to(held, "refused", now, code, detail)
            return after, _unless(_same(held, after), Said("link.refused", "refused", detail, code))
        case Wrong(code, detail):
            return _wrong(held, code, detail, now)
        case Right(code):
            return _right(held, code, now)


def _wrong(held: Condition, code: str, detail: str, now: datetime) -> tuple[Condition, list[Said]]:
    if held.state not in ("up", "degraded"):
        return held, []
    wrong = {**held.wrong, code: detail}
    if code in held.wrong:
        return replace(held, wrong=wrong, detail=wrong[held.code or code]), []
    kind = SILENT if code == SILENT else "link.degraded"
    said = [Said(kind, "failed", detail, code)]
    if held.state == "degraded":
        return replace(held, wrong=wrong), said
    return Condition(now, "degraded", code, detail, wrong), said


def _right(held: Condition, code: str, now: datetime) -> tuple[Condition, list[Said]]:
    if code not in held.wrong:
        return held, []
    wrong = {other: detail for other, detail in held.wrong.items() if other != code}
    if code == SILENT:
        said = [Said("link.flowing", "ok", "messages come again", code)]
    else:
        said = [Said("link.recovered", "ok", f"no longer: {held.wrong[code]}", code)]
    if not wrong:
        return Condition(now, "up"), said
    first = next(iter(wrong))
    return replace(held, wrong=wrong, code=first, detail=wrong[first]), said


def _to(
    held: Condition, state: LinkState, now: datetime, code: str | None = None, detail: str = ""
) -> Condition:
    """`since` stays where the state does."""
    return Condition(held.since if held.state == state else now, state, code, detail)


def _known(held: Condition) -> bool:
    """An outage is one entry, whatever the tries during it end with; the status has the last of them."""
    return held.state == "connecting" and held.code is not None


def _same(held: Condition, after: Condition) -> bool:
    return (held.state, held.code) == (after.state, after.code)


def _unless(known: bool, said: Said) -> list[Said]:
    return [] if known else [said]
