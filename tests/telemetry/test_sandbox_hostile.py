"""Rules that loop, recurse, allocate, backtrack: each ends, and others hardly notice."""

import asyncio
import subprocess
import sys
import time

import pytest

from deploy.local.stack import ROOT
from services.telemetry.sandbox.pool import Failure
from services.telemetry.sandbox.protocol import Asked, Outcome
from services.telemetry.sandbox.quarantine import Allowance
from tests.telemetry.sandbox_pool import GOOD, GOOD_JMESPATH, MESSAGE, evaluated, running, workers
from tests.telemetry.sandbox_rules import HOSTILE

MEMORY_KIB = 200 * 1024  # the limit is 128 MiB over some 20 that a worker has at its start


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_rule_ends_and_leaves_the_pool_as_it_was(source: str) -> None:
    async with running() as pool:
        started = time.monotonic()
        [outcome] = await evaluated(pool, source)
        assert time.monotonic() - started < 15
        if isinstance(outcome, Failure):
            assert outcome.code in ("decoder.timeout", "decoder.crashed")
        [good] = await evaluated(pool, GOOD, organization="org_b")
        assert isinstance(good, Outcome)
        assert good.kind == "value"


def peak(*limit: str) -> int:
    """KiB of the largest worker."""
    command = [sys.executable, "-m", "tests.telemetry.sandbox_peak", *limit]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=True)
    return int(done.stdout.splitlines()[-1])


def test_no_hostile_rule_takes_more_memory_than_it_may() -> None:
    assert peak() < MEMORY_KIB


def test_without_that_limit_one_of_them_would() -> None:
    assert peak(str(4 * 1024**3)) > MEMORY_KIB


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
