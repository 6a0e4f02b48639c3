"""What people say of devices, and which they want forgotten: kept here, shown and carried out by telemetry."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime
from typing import Any

from contracts import subjects
from contracts.devices import (
    DESCRIBE_DEVICE,
    DESCRIBED_MAX,
    FORGET_DEVICE,
    DescribeDevice,
    DeviceDescribed,
    DeviceForgotten,
    DeviceSettings,
    ForgetDevice,
    ForgottenDevice,
    device_token,
)
from contracts.envelope import Event
from contracts.failures import Refused
from runtime.event_log import Append
from services.credentials.commands import Commands, Draft
from services.credentials.handlers import Registry
from services.credentials.ids import new_id


def said_of(command: DescribeDevice, held: DeviceDescribed | None) -> DeviceDescribed:
    """Pure. What holds after the command: what it leaves out stays."""
    before = held or DeviceDescribed(device_id=command.device_id)
    changes: dict[str, Any] = {
        field: value
        for field in ("name", "tags", "metadata", "hidden")
        if (value := getattr(command, field)) is not None
    }
    if command.name == "":
        changes["name"] = None
    return before.model_copy(update=changes)


def decide_description(
    command: DescribeDevice, held: DeviceDescribed | None, described: int
) -> tuple[DeviceDescribed, list[Event]]:
    """Pure. What holds then, and the event where that is news. `described` is how many the organization has."""
    said = said_of(command, held)
    if said == (held or DeviceDescribed(device_id=command.device_id)):
        return said, []
    if held is None and described >= DESCRIBED_MAX:
        raise Refused("limit.reached", f"an organization may describe {DESCRIBED_MAX} devices")
    return said, [said]


class DeviceHandlers:
    def __init__(self, commands: Commands, registry: Registry) -> None:
        self._commands, self._registry = commands, registry
        self._table = registry.directory.devices
        # One at a time for each organization: so many at once do not pass the limit together.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def describe(self, request: DescribeDevice) -> DeviceSettings:
        async def decide(_: datetime) -> Draft[DeviceSettings]:
            subject, held, last = await self._held(request.organization, request.device_id)
            described = 0 if held is not None else self._described(request.organization)
            said, events = decide_description(request, held, described)
            answer = DeviceSettings(id=said.device_id, **said.model_dump(exclude={"device_id"}))
            return Draft(tuple(Append(subject, event, last) for event in events), answer)

        async with self._turns[request.organization]:
            return await self._commands.run(DESCRIBE_DEVICE, request, decide)

    async def forget(self, request: ForgetDevice) -> ForgottenDevice:
        """Each time anew: it may have sent meanwhile."""

        async def decide(now: datetime) -> Draft[ForgottenDevice]:
            subject, _, last = await self._held(request.organization, request.device_id)
            event = DeviceForgotten(device_id=request.device_id, erasure=new_id("erase"))
            answer = ForgottenDevice(erasure=event.erasure, device_id=event.device_id, forgotten_at=now)
            return Draft((Append(subject, event, last),), answer)

        async with self._turns[request.organization]:
            return await self._commands.run(FORGET_DEVICE, request, decide)

    async def _held(self, organization: str, device: str) -> tuple[str, DeviceDescribed | None, int]:
        """Its subject, what is said of it, and the last sequence."""
        await self._registry.require_organization(organization)
        await self._registry.directory.catch_up()  # another replica may have written of it
        id = device_token(organization, device)
        subject = subjects.registry(organization, "device", id)
        entry = self._table.get(organization, id)
        if entry is None:
            return subject, None, 0
        said = entry.state.said
        return subject, None if said is None else DeviceDescribed.model_validate_json(said), entry.last

    def _described(self, organization: str) -> int:
        entries = self._table.by_organization.get(organization, [])
        return sum(entry.state.said is not None for entry in entries)
