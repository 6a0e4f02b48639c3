"""Lanes: in order for each device, a few devices of a link at a time, and no link waits for another."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from services.ingest.commands_lanes import DEVICES_AT_ONCE, Lanes
from services.ingest.commands_log import CommandKey
from services.ingest.links import Key
from tests.support.eventually import eventually

SLOW, QUICK = Key("org_a", "int_slow"), Key("org_b", "int_quick")


class World:
    def __init__(self) -> None:
        self.open = {SLOW, QUICK}
        self.stuck = asyncio.Event()
        self.sent: list[tuple[Key, str]] = []
        self.busy: defaultdict[Key, int] = defaultdict(int)
        self.most = 0
        self.refuse_next: list[object] = []
        self.lanes = Lanes(self._send, lambda link: link in self.open)

    async def _send(self, link: Key, command: CommandKey) -> bool:
        self.busy[link] += 1
        self.most = max(self.most, self.busy[link])
        try:
            if link == SLOW:
                await self.stuck.wait()
            await asyncio.sleep(0)
            if self.refuse_next:
                answer = self.refuse_next.pop()
                if isinstance(answer, Exception):
                    raise answer
                return False
            self.sent.append((link, command.id))
            return True
        finally:
            self.busy[link] -= 1

    def put(self, link: Key, device: str, id: str) -> CommandKey:
        key = CommandKey(link.organization, id)
        self.lanes.put(link, device, key)
        return key


async def test_a_devices_commands_go_out_in_their_order() -> None:
    world = World()
    for number in range(20):
        world.put(QUICK, f"d{number % 3}", f"{number}")
    await eventually(lambda: len(world.sent) == 20)
    for device in range(3):
        of_device = [int(id) for _, id in world.sent if int(id) % 3 == device]
        assert of_device == sorted(of_device)


async def test_a_link_that_does_not_answer_holds_up_nobody_else_and_a_few_of_its_own() -> None:
    world = World()
    for number in range(100):
        world.put(SLOW, f"d{number}", f"{number}")
    world.put(QUICK, "d1", "quick")
    await eventually(lambda: world.sent == [(QUICK, "quick")])
    assert world.most == DEVICES_AT_ONCE
    world.stuck.set()
    await eventually(lambda: len(world.sent) == 101)
    assert world.most == DEVICES_AT_ONCE


async def test_what_cannot_be_sent_now_stays_the_first_of_its_device() -> None:
    world = World()
    world.refuse_next = [False]
    first = world.put(QUICK, "d1", "1")
    world.put(QUICK, "d1", "2")
    await eventually(lambda: not world.refuse_next)
    await asyncio.sleep(0)
    assert first in world.lanes
    assert world.sent == []
    world.lanes.pump()
    await eventually(lambda: [id for _, id in world.sent] == ["1", "2"])
    assert first not in world.lanes


async def test_a_defect_at_one_command_does_not_end_the_lane() -> None:
    world = World()
    world.refuse_next = [RuntimeError("a defect")]
    world.put(QUICK, "d1", "1")
    await eventually(lambda: not world.refuse_next)
    await asyncio.sleep(0)
    world.lanes.pump()
    await eventually(lambda: [id for _, id in world.sent] == ["1"])


async def test_while_a_link_is_away_nothing_is_tried() -> None:
    world = World()
    world.open.clear()
    world.put(QUICK, "d1", "1")
    world.lanes.pump()
    await asyncio.sleep(0.01)
    assert world.sent == []
    world.open.add(QUICK)
    world.lanes.pump()
    await eventually(lambda: [id for _, id in world.sent] == ["1"])


async def test_the_same_command_waits_once() -> None:
    world = World()
    world.open.clear()
    for _ in range(3):
        world.put(QUICK, "d1", "1")
    world.open.add(QUICK)
    world.lanes.pump()
    await eventually(lambda: bool(world.sent))
    await asyncio.sleep(0.01)
    assert len(world.sent) == 1


async def test_at_the_end_nothing_goes_on() -> None:
    world = World()
    world.put(SLOW, "d1", "1")
    await asyncio.sleep(0)
    await world.lanes.close()
    world.stuck.set()
    await asyncio.sleep(0.01)
    assert world.sent == []
