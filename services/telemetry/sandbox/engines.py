"""The two languages, compiled: from {topic, payload, received_at} to whatever the rule gives.

The same message gives the same value whenever it is evaluated: `$now` and `$millis` are the time at which it was
received, `$random` and `$shuffle` are off, and so is `$eval`, which would make rules out of payloads. Regular
expressions of JSONata run on an engine without backtracking (Rust's `regex`); JMESPath has none.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jmespath
import jsonatapy

STACK_DEPTH_MAX = 100
SEQUENCE_MAX = 10_000  # values that one step of a path, a map or a range may give
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Rule = Callable[[dict[str, Any]], Any]


class Clock:
    """The time of the message that is evaluated."""

    def __init__(self) -> None:
        self.millis = 0

    def __str__(self) -> str:
        return (
            (_EPOCH + timedelta(milliseconds=self.millis))
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )


def compiled(language: str, source: str, clock: Clock) -> Rule:
    """ValueError says what is wrong with it."""
    if language == "jmespath":
        return jmespath.compile(source).search  # type: ignore[no-any-return]
    expression = jsonatapy.compile(source, max_stack_depth=STACK_DEPTH_MAX, max_sequence_length=SEQUENCE_MAX)
    overrides: dict[str, Callable[..., Any]] = {
        "now": lambda *picture: _now(clock, picture),
        "millis": lambda *_: clock.millis,
        "random": _off("random", "a message is decoded to the same readings again"),
        "shuffle": _off("shuffle", "a message is decoded to the same readings again"),
        "eval": _off("eval", "a rule is not made from a payload"),
    }
    for name, function in overrides.items():
        expression.register_override(name, function)
    return expression.evaluate


def _now(clock: Clock, picture: tuple[Any, ...]) -> str:
    if picture:
        raise ValueError("$now takes no picture here: $fromMillis($millis(), picture)")
    return str(clock)


def _off(name: str, why: str) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise ValueError(f"${name} is off: {why}")

    return refuse
