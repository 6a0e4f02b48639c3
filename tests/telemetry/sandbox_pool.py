"""A pool of workers for one test, and who works in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

from contracts.activity import ActivityRecorded
from services.telemetry.sandbox.pool import Failure, Happened, Pool, Rule
from services.telemetry.sandbox.process import Limits
from services.telemetry.sandbox.protocol import Asked, Outcome
from services.telemetry.sandbox.quarantine import Allowance

GENEROUS = Allowance(message_s=10.0)
GOOD = '{"device_id": payload.sn, "readings": payload.obs{n: v}}'
GOOD_JMESPATH = "{device_id: payload.sn, readings: payload.obs[].{name: n, value: v}}"
PAYLOAD = b'{"sn":"S9","obs":[{"n":"t","v":21.5},{"n":"h","v":40}]}'
MESSAGE = Asked("plant/7/up", PAYLOAD, 1_772_359_200_123)
LOOP = "($f := function($x){ $f($x + 1) }; $f(1))"


def ignore(organization: str, event: ActivityRecorded) -> None:
    pass


@asynccontextmanager
async def running(
    size: int = 1, happened: Happened = ignore, allowance: Allowance = GENEROUS, limits: Limits = Limits()
) -> AsyncIterator[Pool]:
    """Slow machines are not what is tested: a worker is killed for CPU time it used, or after ten seconds."""
    pool = Pool(size, happened, limits=limits._replace(turn_wall_s=10.0), allowance=allowance)
    try:
        yield pool
    finally:
        await pool.close()
        assert not workers()


def workers() -> list[psutil.Process]:
    """Those of the test's own pools; the telemetry service of a stack that test files share may have some, too."""
    found = []
    for child in psutil.Process().children():
        try:
            if (
                "services.telemetry.sandbox.worker" in child.cmdline()
                and child.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


async def evaluated(
    pool: Pool, source: str, *messages: Asked, language: str = "jsonata", organization: str = "org_a"
) -> list[Outcome | Failure]:
    rule = Rule(organization, language, source, "int_1")
    return await pool.evaluate(rule, messages or (MESSAGE,), within_s=60)


def payloads(count: int) -> list[Asked]:
    return [Asked("t", b'{"n":%d}' % number, 0) for number in range(count)]
