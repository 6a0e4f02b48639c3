"""Rules that loop, recurse, allocate, backtrack: each ends, and others hardly notice."""

import asyncio
import resource
import time

import pytest

from services.telemetry.sandbox.pool import Failure
from services.telemetry.sandbox.protocol import Asked, Outcome
from services.telemetry.sandbox.quarantine import Allowance
from tests.telemetry.sandbox_pool import GOOD, GOOD_JMESPATH, LOOP, MESSAGE, evaluated, running, workers

HOSTILE = {
    "loops": LOOP,
    "recurses": "($f := function($x){ 1 + $f($x + 1) }; $f(1))",
    "recurses in two": "($f := function($x){ $g($x) }; $g := function($x){ 1 + $f($x) }; $f(1))",
    "maps maps": "$map([1..9999], function($a){ $map([1..9999], function($b){ $a * $b }) })",
    "multiplies": "$sum([1..9999].([1..9999]))",
    "allocates": '$pad("", 2000000000, "x")',
    "allocates bit by bit": '$join($map([1..9999], function($i){ $pad("", 1000000, "x") }))',
    "allocates a range": "[1..9999999]",
    "doubles": '($f := function($s){ $f($s & $s) }; $f("x"))',
    "answers too much": '$pad("", 300000, "x")',
    "backtracks": '$match($pad("", 5000, "a") & "b", /(a+)+(a|aa)*$/)',
    "has a huge expression": '$match("a", /((((a{1,100}){1,100}){1,100}){1,100})/)',
    "replaces much": '$replace($pad("", 100000, "a"), /a/, $pad("", 100000, "b"))',
    "nests": "(" * 2000 + "1" + ")" * 2000,
    "nests arrays": "[" * 500 + "1" + "]" * 500,
    "nests its result": "($f := function($n, $x){ $n = 0 ? $x : $f($n - 1, [[$x]]) }; $f(5000, 1))",
    "sorts with a comparison that lies": "$sort([1..9999], function($a, $b){ true })",
    "raises": '$error("no")',
    "divides by zero": "1/0",
    "gives a function": "function($x){ $x }",
    "builds dates": '$toMillis($pad("", 5000, "1"), "' + "[f1]" * 50 + '")',
    "pictures": '$formatNumber(1, $pad("", 100000, "0"))',
    "powers": "$power(10, 99999)",
}


def largest_child() -> int:
    """Peak of memory, in KiB, of the largest child that has ended so far."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_rule_ends_and_leaves_the_pool_as_it_was(source: str) -> None:
    before = largest_child()
    async with running() as pool:
        started = time.monotonic()
        [outcome] = await evaluated(pool, source)
        assert time.monotonic() - started < 15
        if isinstance(outcome, Failure):
            assert outcome.code in ("decoder.timeout", "decoder.crashed")
        [good] = await evaluated(pool, GOOD, organization="org_b")
        assert isinstance(good, Outcome)
        assert good.kind == "value"
    # Other children of this process may have been larger, before.
    assert largest_child() <= max(before, 400 * 1024), "the limit is 128 MiB over some 20"


@pytest.mark.parametrize(
    ("source", "payload"),
    [
        ("sort_by(payload, &join('', @))", b'[{"a":[' + b'"x",' * 10_000 + b'"x"]}]'),
        ("payload[].map(&payload, @)", b"[1]"),
        ("payload" + ".[@, @]" * 22, b"[1]"),
        ("(" * 4000, b"1"),
        ("payload" + "[]" * 2000, b"[1]"),
        ("to_string(payload)", b"[" * 900 + b"]" * 900),
    ],
    ids=["sorts", "maps", "doubles", "nests", "flattens", "prints"],
)
async def test_a_hostile_rule_in_jmespath_ends(source: str, payload: bytes) -> None:
    async with running() as pool:
        [outcome] = await evaluated(pool, source, Asked("t", payload, 0), language="jmespath")
        if isinstance(outcome, Failure):
            assert outcome.code in ("decoder.timeout", "decoder.crashed")
        [good] = await evaluated(pool, GOOD_JMESPATH, language="jmespath", organization="org_b")
        assert isinstance(good, Outcome)
        assert good.kind == "value"


async def test_another_tenant_waits_for_no_more_than_its_turn_while_rules_run_wild() -> None:
    """Ten hostile organizations, each with new rules all the time; the delays of one that asks again and again."""
    async with running(2, allowance=Allowance()) as pool:
        await evaluated(pool, GOOD, organization="org_good")
        stop = asyncio.Event()

        async def rage(number: int) -> None:
            attempts = 0
            while not stop.is_set():
                source = list(HOSTILE.values())[(number + attempts) % len(HOSTILE)]
                await evaluated(pool, f"({attempts}; {source})", organization=f"org_{number}")
                attempts += 1
                await asyncio.sleep(0.01)

        tasks = [asyncio.create_task(rage(number)) for number in range(10)]
        delays = []
        for _ in range(80):
            started = time.monotonic()
            outcomes = await evaluated(pool, GOOD, *[MESSAGE] * 20, organization="org_good")
            delays.append(time.monotonic() - started)
            assert all(isinstance(one, Outcome) and one.kind == "value" for one in outcomes)
            await asyncio.sleep(0.02)
        stop.set()
        await asyncio.gather(*tasks)
        delays.sort()
        assert delays[40] < 0.25
        assert delays[-1] < 5
        assert len(workers()) <= 4
