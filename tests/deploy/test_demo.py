"""`make demo`, through a crash of telemetry."""

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest

from deploy.local.devices import Api, credentials, demo
from deploy.local.stack import Stack
from tests.support.eventually import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(480)]


@pytest.fixture(scope="module")
def stack(own_stack: Stack) -> Stack:
    return own_stack


async def test_simulated_devices_appear_online_also_after_a_crash_of_telemetry(
    stack: Stack, tmp_path: Path
) -> None:
    held_in = tmp_path / "demo.json"
    devices = await asyncio.to_thread(credentials, asdict(stack.addresses), held_in, 3)
    api = Api(stack.addresses.gateway, json.loads(held_in.read_text())["api_key"])

    async def online() -> set[str]:
        listed = (await asyncio.to_thread(api.call, "GET", "/devices"))["items"]
        return {each["id"] for each in listed if each["online"]}

    async def all_online() -> bool:
        return await online() == {each["device"] for each in devices}

    publishing = asyncio.create_task(demo(devices, stack.addresses.mqtt, 30))
    await eventually(all_online, timeout_s=20, every_s=0.2)
    await asyncio.to_thread(stack.kill, "telemetry")
    await asyncio.to_thread(stack.restart, "telemetry")
    await eventually(all_online, timeout_s=20, every_s=0.2)
    publishing.cancel()
    with suppress(asyncio.CancelledError):
        await publishing


def test_a_second_demo_uses_the_credentials_of_the_first(stack: Stack, tmp_path: Path) -> None:
    run, held_in = asdict(stack.addresses), tmp_path / "demo.json"
    first = credentials(run, held_in, 1)
    more = credentials(run, held_in, 2)
    assert more[:1] == first
    assert [each["device"] for each in more] == ["demo-001", "demo-002"]
