"""Commands to devices as the gateway queues them, and what became of them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from contracts import subjects
from contracts.device_command_state import DeviceCommand, fold
from contracts.device_commands import DeviceCommandQueued, new_command_id
from contracts.envelope import Cause, Recorded
from runtime.event_log import Append, EventLog
from tests.ingest.conftest import World
from tests.support.eventually import eventually


class Commander:
    def __init__(self, world: World) -> None:
        self.world = world
        self._log = EventLog(world._clients["gateway"], "COMMANDS")

    async def order(
        self, topic: str, payload: bytes = b"on", *, integration: str = "hosted", **more: Any
    ) -> str:
        """A queued command's id; `{id}` in topics becomes it."""
        id = new_command_id(None)
        organization = self.world.organization
        fields: dict[str, Any] = {
            "device_id": "d1",
            "qos": 1,
            "retain": False,
            "response_topic": f"{organization}/devices/d1/responses/{id}",
            "correlation_id": id,
            "answer_expected": False,
            "expires_in_s": 60,
            **more,
        }
        fields["response_topic"] = fields["response_topic"].replace("{id}", id)
        event = DeviceCommandQueued(
            topic=topic.replace("{id}", id),
            payload=base64.b64encode(payload).decode(),
            integration_id=integration,
            **fields,
        )
        append = Append(subjects.device_command(organization, id), event, 0)
        await self._log.append([append], cause=Cause("test", "gateway"), now=datetime.now(UTC))
        return id

    async def events(self, id: str) -> list[Recorded]:
        return await self._log.read(subjects.device_command(self.world.organization, id))

    async def kinds(self, id: str) -> list[str]:
        return [each.event.type.removeprefix("device-command.") for each in await self.events(id)]

    async def command(self, id: str) -> DeviceCommand:
        held = fold(await self.events(id))
        assert held is not None
        return held

    async def until(self, id: str, state: str, timeout_s: float = 20) -> DeviceCommand:
        async def reached() -> DeviceCommand | None:
            held = await self.command(id)
            assert held.state == state, held
            return held

        held = await eventually(reached, timeout_s=timeout_s)
        assert held is not None
        return held
