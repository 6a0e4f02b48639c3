"""Commands to the dynamic-security plugin over MQTT: several in a message, one answer."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
from pydantic import SecretStr

from contracts.failures import Unavailable
from runtime.bus import tls_context
from services.credentials.mosquitto.staff import ADMIN, BROKER_LOG, CONTROL
from services.credentials.mosquitto.wanted import Acl, Command, Held

ANSWER_S = 30.0  # the broker rewrites its whole file for each command: 0.3 s each with 20,000 clients
PAGE = 1000
CONNECT_S = 5.0

Between = Callable[[], Awaitable[None]]


class Control:
    """One connection of the admin's."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        # Everybody who listens hears all answers: those of other replicas are told apart.
        self._asker, self._number = os.urandom(8).hex(), 0
        self._waiting: dict[str, asyncio.Future[list[dict[str, Any]]]] = {}

    async def send(self, commands: Sequence[Command]) -> list[str | None]:
        """Per command None, or the broker's word why it did not do it. Raises Unavailable."""
        return [answer.get("error") for answer in await self._ask(commands)]

    async def clients(self, between: Between) -> dict[str, Held]:
        """All clients, page by page; `between` pages there is time for what is urgent."""
        return {
            item["username"]: Held(
                client_id=item.get("clientid"),
                tag=item.get("textdescription"),
                roles=tuple(role["rolename"] for role in item.get("roles", ())),
                disabled=item.get("disabled", False),
            )
            for item in await self._list("listClients", "clients", between)
        }

    async def roles(self, between: Between) -> dict[str, frozenset[Acl]]:
        """All roles; a rule that denies, or one with a priority, is none of ours and makes them differ."""
        return {
            item["rolename"]: frozenset(
                Acl(
                    acl["acltype"]
                    if acl.get("allow") and not acl.get("priority")
                    else f"no {acl['acltype']}",
                    acl["topic"],
                )
                for acl in item.get("acls", ())
            )
            for item in await self._list("listRoles", "roles", between)
        }

    async def groups(self) -> list[str]:
        [answer] = await self._ask([{"command": "listGroups", "verbose": False, "count": -1, "offset": 0}])
        return list(answer["data"]["groups"])

    async def defaults(self) -> dict[str, bool]:
        [answer] = await self._ask([{"command": "getDefaultACLAccess"}])
        return {acl["acltype"]: acl["allow"] for acl in answer["data"]["acls"]}

    async def read(self, on_log: Callable[[str], None]) -> None:
        """Hands out answers and the broker's notices until the connection ends, which it raises."""
        try:
            async for message in self._client.messages:
                assert isinstance(message.payload, bytes)
                if message.topic.value == BROKER_LOG:
                    on_log(message.payload.decode(errors="replace"))
                    continue
                answers = json.loads(message.payload)["responses"]
                waiting = self._waiting.pop(answers[0].get("correlationData", ""), None) if answers else None
                if waiting is not None and not waiting.done():
                    waiting.set_result(answers)
        except aiomqtt.MqttError as error:
            raise Unavailable("link.down", f"the hosted broker: {error}") from error
        finally:
            for waiting in self._waiting.values():
                waiting.cancel()

    async def _list(self, command: str, key: str, between: Between) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            query = {"command": command, "verbose": True, "count": PAGE, "offset": len(found)}
            [answer] = await self._ask([query])
            page = answer["data"][key]
            found += page
            if len(page) < PAGE:
                return found
            await between()

    async def _ask(self, commands: Sequence[Command]) -> list[dict[str, Any]]:
        self._number += 1
        number = f"{self._asker}-{self._number}"
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        body = json.dumps({"commands": [{**command, "correlationData": number} for command in commands]})
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._client.publish(CONTROL, body, qos=1)
                answers: list[dict[str, Any]] = await waiting
        except (aiomqtt.MqttError, TimeoutError) as error:
            raise Unavailable("broker.timeout", f"the hosted broker does not answer: {error!r}") from error
        finally:
            self._waiting.pop(number, None)
        if len(answers) != len(commands):
            raise Unavailable("broker.timeout", f"{len(commands)} commands, {len(answers)} answers")
        return answers


@asynccontextmanager
async def connected(url: str, password: SecretStr, authority: Path | None = None) -> AsyncIterator[Control]:
    """Raises Unavailable."""
    address = urlsplit(url)
    client = aiomqtt.Client(
        address.hostname or "127.0.0.1",
        address.port or (8883 if address.scheme == "mqtts" else 1883),
        username=ADMIN,
        password=password.get_secret_value(),
        protocol=aiomqtt.ProtocolVersion.V5,
        timeout=CONNECT_S,
        tls_context=tls_context(authority) if address.scheme == "mqtts" else None,
    )
    try:
        async with client:
            await client.subscribe([(f"{CONTROL}/response", 1), (BROKER_LOG, 0)])
            yield Control(client)
    except aiomqtt.MqttError as error:
        raise Unavailable("link.down", f"the hosted broker: {error}") from error
