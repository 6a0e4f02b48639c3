"""A cancellation that comes in the very moment of the answer still ends a task."""

from __future__ import annotations

import asyncio

import pytest

import runtime


def test_importing_the_runtime_mends_it() -> None:
    assert runtime is not None
    assert asyncio.wait_for.__module__ in ("runtime.wait_for", "asyncio.tasks")


async def test_a_task_that_is_cancelled_while_its_answer_arrives_ends() -> None:
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def ask() -> int:
        return await asyncio.wait_for(answer, 10)

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    answer.set_result(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_an_answer_in_time_is_given() -> None:
    assert await asyncio.wait_for(asyncio.sleep(0, "here"), 10) == "here"
    assert await asyncio.wait_for(asyncio.sleep(0, "here"), None) == "here"
    done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    done.set_result("there")
    assert await asyncio.wait_for(done, 0) == "there"


@pytest.mark.parametrize("timeout", [0, 0.001])
async def test_one_that_is_late_is_cancelled(timeout: float) -> None:
    late: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(late, timeout)
    assert late.cancelled()
