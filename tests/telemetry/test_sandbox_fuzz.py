"""Generated rules, sound and unsound: each message has one outcome, the same one every time, and the pool goes on."""

import json
import os
import random
import re
import time
from collections.abc import Callable

from services.telemetry.sandbox.pool import Failure, Pool, Rule
from services.telemetry.sandbox.process import Limits
from services.telemetry.sandbox.protocol import Asked, Outcome
from services.telemetry.sandbox.quarantine import Allowance

SEED = int(os.environ.get("SEED", "20261121"))
RULES = 200
MESSAGES = [
    Asked(f"plant/{number}/up", json.dumps(payload).encode(), 1_772_359_200_000)
    for number, payload in enumerate(
        [
            {"a": [1, 2.5, "x", None, {"b": True}], "b": {"a": -1, "c": "2026-03-01T10:00:00Z"}},
            [{"n": "t", "v": 21.5}, {"n": "h", "v": 40}, []],
            {"a": "y" * 5000, "c": list(range(500))},
            5,
            None,
        ]
    )
]
FUNCTIONS = re.findall(
    r"\w+",
    """sum count max min average string length uppercase trim split join match replace contains number round power
    formatNumber formatBase toMillis fromMillis keys lookup merge sort reverse distinct zip each sift map filter
    reduce spread append exists type not boolean pad base64encode base64decode encodeUrl now millis random eval
    error assert shuffle single clone sqrt""",
)
LITERALS = [
    "1",
    "-0.5",
    "1e308",
    '"x"',
    '"[Y]-[M]"',
    "true",
    "null",
    "[]",
    "{}",
    "/(a|b)*c/",
    "[1..9]",
    "[1..20000]",
]


def jsonata(some: random.Random, depth: int) -> str:
    def inner() -> str:
        return jsonata(some, depth - 1)

    def function() -> str:
        arguments = ", ".join(inner() for _ in range(some.randrange(4)))
        return f"${some.choice(FUNCTIONS)}({arguments})"

    def recursion() -> str:
        return f"($f := function($x){{ {inner()} = {inner()} ? $x : $f({inner()}) }}; $f({inner()}))"

    if depth == 0:
        return some.choice(
            [*LITERALS, "payload", "payload.a", "payload.**", "topic", "$", "$$", "$x", "received_at"]
        )
    makers: list[Callable[[], str]] = [
        inner,
        function,
        recursion,
        lambda: f"{inner()} {some.choice(['+', '*', '/', '%', '&', '=', '<', 'and', 'in', '~>'])} {inner()}",
        lambda: f"{inner()}[{inner()}]",
        lambda: f"{inner()}.({inner()})",
        lambda: f"{inner()}{{{inner()}: {inner()}}}",
        lambda: f"{inner()}^(>{inner()})",
        lambda: f"{inner()} ? {inner()} : {inner()}",
        lambda: f'{{"readings": {{"t": {inner()}}}}}',
        lambda: f"$map({inner()}, function($x){{ {inner()} }})",
        lambda: f"[{inner()}..{inner()}]",
    ]
    return garbled(some, some.choice(makers)())


def garbled(some: random.Random, source: str) -> str:
    """One in fifty of all parts."""
    return (
        source if some.random() > 0.02 else "".join(some.choices(source + "()[]{}.$*^~/\\\"'`|&?:@#%", k=8))
    )


def jmespath(some: random.Random, depth: int) -> str:
    def inner() -> str:
        return jmespath(some, depth - 1)

    if depth == 0:
        return some.choice(
            ["payload", "payload.a", "topic", "@", "`1`", "'x'", "payload[*]", "payload.*", "`[]`"]
        )
    makers: list[Callable[[], str]] = [
        inner,
        lambda: f"{inner()}.{some.choice('abc')}",
        lambda: f"{inner()}[]",
        lambda: f"{inner()}[?{inner()} == {inner()}]",
        lambda: f"[{inner()}, {inner()}]",
        lambda: f"{{readings: {inner()}}}",
        lambda: f"{inner()} | {inner()}",
        lambda: f"{inner()} && {inner()}",
        lambda: f"map(&{inner()}, {inner()})",
        lambda: f"sort_by({inner()}, &{inner()})",
        lambda: f"{some.choice(['length', 'to_string', 'max', 'sum', 'keys', 'join', 'merge'])}({inner()})",
    ]
    return garbled(some, some.choice(makers)())


async def outcomes(rules: list[tuple[str, str]]) -> list[list[Outcome | Failure]]:
    limits = Limits(turn_wall_s=10.0)
    pool = Pool(1, lambda *_: None, limits=limits, allowance=Allowance(message_s=10.0))
    try:
        return [
            await pool.evaluate(Rule(f"org_{number}", language, source), MESSAGES, within_s=60)
            for number, (language, source) in enumerate(rules)
        ]
    finally:
        await pool.close()


async def test_no_generated_rule_escapes_and_each_gives_the_same_again() -> None:
    some = random.Random(SEED)
    rules = [("jsonata", jsonata(some, some.randrange(5))) for _ in range(RULES)] + [
        ("jmespath", jmespath(some, some.randrange(5))) for _ in range(RULES)
    ]
    started = time.monotonic()
    first, again = await outcomes(rules), await outcomes(rules)
    assert time.monotonic() - started < 100, f"SEED={SEED}"
    values = 0
    for rule, ones, others in zip(rules, first, again, strict=True):
        assert len(ones) == len(others) == len(MESSAGES)
        for one, other in zip(ones, others, strict=True):
            if isinstance(one, Outcome) and isinstance(other, Outcome):
                assert repr(one) == repr(other), f"SEED={SEED} {rule}"
                values += one.kind == "value"
            else:
                assert all(
                    not isinstance(x, Failure) or x.code.startswith("decoder.") for x in (one, other)
                ), rule
    assert values > len(rules), "most rules are to be sound"
