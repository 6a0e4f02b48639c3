"""Expressions in processes of their own: what a rule does wrong costs its own messages, and nobody else's."""

import os
import subprocess
import sys
import textwrap

import psutil
import pytest

from contracts.activity import ActivityRecorded
from services.telemetry.sandbox.pool import Failure, Rule
from services.telemetry.sandbox.process import ENVIRONMENT, ROOT, Limits
from services.telemetry.sandbox.protocol import Asked, Outcome
from services.telemetry.sandbox.quarantine import Allowance
from tests.support.eventually import eventually
from tests.telemetry.sandbox_pool import (
    GOOD,
    GOOD_JMESPATH,
    LOOP,
    evaluated,
    payloads,
    running,
    workers,
)


async def test_both_languages_read_a_message() -> None:
    async with running() as pool:
        [one] = await evaluated(pool, GOOD)
        [other] = await evaluated(pool, GOOD_JMESPATH, language="jmespath")
    assert one == Outcome("value", {"device_id": "S9", "readings": {"t": 21.5, "h": 40}})
    assert isinstance(other, Outcome)
    assert other.value["readings"] == [{"name": "t", "value": 21.5}, {"name": "h", "value": 40}]


async def test_a_rule_sees_topic_payload_and_time_of_receiving() -> None:
    async with running() as pool:
        [one] = await evaluated(pool, "[topic, payload.sn, received_at, $now(), $millis()]")
    assert isinstance(one, Outcome)
    time = "2026-03-01T10:00:00.123Z"
    assert one.value == ["plant/7/up", "S9", time, time, 1_772_359_200_123]


@pytest.mark.parametrize(
    "source",
    [
        "$random()",
        "$shuffle([1, 2])",
        '$eval("1")',
        "($r := $random; $r())",
        "$map([1], $random)",
        '$now("[Y]")',
    ],
)
async def test_what_would_differ_next_time_is_off(source: str) -> None:
    async with running() as pool:
        [one] = await evaluated(pool, source)
    assert isinstance(one, Outcome)
    assert one.kind == "failed"


async def test_many_messages_come_back_in_their_order() -> None:
    async with running(2) as pool:
        outcomes = await evaluated(pool, "payload.n", *payloads(3000))
    assert [one.value for one in outcomes if isinstance(one, Outcome)] == list(range(3000))


async def test_a_rule_that_fails_on_one_message_reads_the_others() -> None:
    messages = [*payloads(3), Asked("t", b"{nope", 0), Asked("t", b'{"n":"x"}', 0), *payloads(2)]
    async with running() as pool:
        outcomes = await evaluated(pool, "payload.n + 1", *messages)
    kinds = [one.kind for one in outcomes if isinstance(one, Outcome)]
    assert kinds == ["value"] * 3 + ["not_json", "failed"] + ["value"] * 2


@pytest.mark.parametrize("language", ["jsonata", "jmespath"])
async def test_a_rule_that_is_none_says_why_with_every_message(language: str) -> None:
    async with running() as pool:
        outcomes = await evaluated(pool, "payload.[", *payloads(2), language=language)
    assert [one.kind for one in outcomes if isinstance(one, Outcome)] == ["unreadable", "unreadable"]


async def test_the_message_that_a_worker_dies_of_is_found_and_the_others_are_read() -> None:
    source = f"payload.n = 5 ? {LOOP} : payload.n"
    async with running() as pool:
        outcomes = await evaluated(pool, source, *payloads(9))
    [failure] = [one for one in outcomes if isinstance(one, Failure)]
    assert (outcomes.index(failure), failure.code) == (5, "decoder.timeout")
    assert [one.value for one in outcomes if isinstance(one, Outcome)] == [0, 1, 2, 3, 4, 6, 7, 8]


async def test_a_rule_that_misbehaves_twice_rests_and_its_organization_is_told() -> None:
    told: list[tuple[str, ActivityRecorded]] = []
    async with running(happened=lambda *event: told.append(event)) as pool:
        outcomes = await evaluated(pool, LOOP, *payloads(5))
        [good] = await evaluated(pool, GOOD)
    codes = [one.code for one in outcomes if isinstance(one, Failure)]
    assert codes == ["decoder.timeout"] * 2 + ["decoder.quarantined"] * 3
    assert isinstance(good, Outcome)  # another rule of the same organization
    [(organization, event)] = told
    assert (organization, event.kind, event.subject) == ("org_a", "decoder.quarantined", "integration:int_1")
    assert "50 ms of CPU time" in event.summary


async def test_a_rule_that_is_too_slow_in_the_long_run_rests() -> None:
    slow = "$sum($map([1..2000], function($i){ $i * 2 }))"
    async with running(allowance=Allowance(burst_s=0.05)) as pool:
        outcomes = await evaluated(pool, slow, *payloads(500))
    assert isinstance(outcomes[0], Outcome)
    assert isinstance(outcomes[-1], Failure)
    assert outcomes[-1].code == "decoder.quarantined"
    assert "µs a message, where 10" in outcomes[-1].detail


async def test_an_organization_cannot_evade_its_quarantine_by_new_rules() -> None:
    async with running(allowance=Allowance()) as pool:
        codes = []
        for number in range(8):
            [outcome] = await evaluated(pool, f"({number}; {LOOP})")
            assert isinstance(outcome, Failure)
            codes.append(outcome.code)
    assert codes[0] == "decoder.timeout"
    assert codes[-4:] == ["decoder.quarantined"] * 4


async def test_messages_that_nobody_has_time_for_are_failures_and_the_pool_goes_on() -> None:
    async with running() as pool:
        rule = Rule("org_a", "jsonata", "$sum([1..9000])")
        outcomes = await pool.evaluate(rule, payloads(100_000), within_s=0.5)
        assert isinstance(outcomes[-1], Failure)
        assert outcomes[-1].code == "decoder.unavailable"
        assert len(outcomes) == 100_000
        [good] = await evaluated(pool, GOOD)
        assert isinstance(good, Outcome)


async def test_workers_are_replaced_before_they_are_worn_out() -> None:
    async with running(limits=Limits(life_messages=100)) as pool:
        await evaluated(pool, "payload.n", *payloads(50))
        before = {worker.pid for worker in workers()}
        outcomes = await evaluated(pool, "payload.n", *payloads(1000))
        assert all(isinstance(one, Outcome) for one in outcomes)
        assert before - {worker.pid for worker in workers()}
        assert len(workers()) <= 4


async def test_workers_that_somebody_else_killed_cost_no_message() -> None:
    async with running() as pool:
        await evaluated(pool, GOOD)
        await eventually(lambda: awaitable(pool._starting == 0))
        for worker in workers():
            worker.kill()
        await eventually(lambda: awaitable(all(worker.gone for worker in pool._living)))
        for organization in ("org_a", "org_b"):
            [outcome] = await evaluated(pool, GOOD, organization=organization)
            assert isinstance(outcome, Outcome)


async def awaitable(value: bool) -> bool:
    return value


@pytest.fixture(scope="module")
def confined() -> list[str]:
    """What a confined process says of each thing that it tried."""
    script = """
        import ctypes, os, resource, signal, socket, subprocess, sys
        from services.telemetry.sandbox.confine import confine
        sys.stdout.write(f"filtered {confine(64 << 20, 60)}\\n")
        libc = ctypes.CDLL(None, use_errno=True)
        tries = {
            "read": lambda: open("/etc/hostname"),
            "write": lambda: open("/tmp/x", "w"),
            "dup": lambda: os.dup(0),
            "socket": lambda: socket.socket(),
            "fork": lambda: os.fork(),
            "thread": lambda: __import__("_thread").start_new_thread(print, ()),
            "run": lambda: os.execv("/bin/true", ["true"]),
            "signal": lambda: os.kill(os.getppid(), 0),
            "list": lambda: os.listdir("/"),
            "remove": lambda: os.unlink("/tmp/x"),
            "limit": lambda: resource.setrlimit(resource.RLIMIT_CORE, (1, 1)),
            "memory": lambda: bytearray(65 << 20),
        }
        for name, attempt in tries.items():
            try:
                attempt()
                sys.stdout.write(f"{name} done\\n")
            except BaseException as error:
                sys.stdout.write(f"{name} {type(error).__name__}\\n")
        sys.stdout.flush()
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return run.stdout.split("\n")


def test_a_confined_process_reaches_no_file_network_or_process(confined: list[str]) -> None:
    assert confined[0] == "filtered True", "this kernel has no seccomp: limits alone hold"
    said = [line.split()[-1] for line in confined[1:] if line]
    assert len(said) == 12
    assert "done" not in said, confined


async def test_a_worker_has_no_environment_and_none_of_our_files() -> None:
    async with running() as pool:
        await evaluated(pool, GOOD)
        for worker in workers():
            held = psutil.Process(worker.pid)
            assert held.environ().keys() <= {*ENVIRONMENT, "LC_CTYPE"}
            assert held.net_connections() == []
            names = {
                os.readlink(f"/proc/{worker.pid}/fd/{name}") for name in os.listdir(f"/proc/{worker.pid}/fd")
            }
            assert {name.split(":")[0] for name in names} <= {"pipe", "socket", "/dev/null", "/memfd"}


def test_workers_end_with_a_service_that_is_killed() -> None:
    script = """
        import asyncio
        from services.telemetry.sandbox.pool import Pool, Rule
        from services.telemetry.sandbox.protocol import Asked

        async def main():
            pool = Pool(1, lambda *_: None)
            await pool.evaluate(Rule("org_a", "jsonata", "payload"), [Asked("t", b"1", 0)], within_s=60)
            print(*[worker.pid for worker in pool._living], flush=True)
            await asyncio.sleep(600)

        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        processes = [psutil.Process(int(pid)) for pid in service.stdout.readline().split()]
        service.kill()
    assert processes
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive
