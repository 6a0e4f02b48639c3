"""Retained messages at the hosted broker, by who published them: what a credential left behind is erased.

nats-server keeps them in the device account's stream `$MQTT_rmsgs`, one message a topic, each with the user
who published it. It forgets one when an empty one takes its place, which no subscriber gets to see.
"""

from __future__ import annotations

import asyncio
import base64

from nats.aio.client import Client

from contracts import subjects
from runtime import fast_parser, jetstream
from runtime.event_log import EXPECTED_LAST
from runtime.jetstream import NO_MESSAGE, STREAM_NOT_FOUND, WRONG_LAST_SEQUENCE, ApiError

STREAM = "$MQTT_rmsgs"
TOPIC, ORIGIN, SOURCE, FLAGS = "Nmqtt-RTopic", "Nmqtt-ROrigin", "Nmqtt-RSource", "Nmqtt-RFlags"
DELETED = "-1"  # the server's mark of one that is erased
AT_A_TIME = 32


class Retained:
    """`devices` is a connection to the device account."""

    def __init__(self, devices: Client) -> None:
        self._devices = devices

    async def erase(self, organization: str, credential: str | None) -> int:
        """All of the organization's that this credential (None: anybody) published; says how many.

        Raises Unavailable.
        """
        try:
            found = await self._topics(organization)
        except ApiError as error:
            if error.code == STREAM_NOT_FOUND:
                return 0  # no device was ever connected
            raise
        turns = asyncio.Semaphore(AT_A_TIME)

        async def one(subject: str) -> bool:
            async with turns:
                return await self._erase(subject, credential)

        return sum(await asyncio.gather(*(one(subject) for subject in found)))

    async def _topics(self, organization: str) -> list[str]:
        found: list[str] = []
        while True:
            query = {"subjects_filter": subjects.retained_of(organization), "offset": len(found)}
            info = await jetstream.request(self._devices, f"$JS.API.STREAM.INFO.{STREAM}", query)
            page = info["state"].get("subjects") or {}
            found += page
            if not page or len(found) >= info.get("total", 0):
                return found

    async def _erase(self, subject: str, credential: str | None) -> bool:
        try:
            answer = await jetstream.request(
                self._devices, f"$JS.API.STREAM.MSG.GET.{STREAM}", {"last_by_subj": subject}
            )
            message = answer["message"]
            headers = fast_parser.headers(base64.b64decode(message.get("hdrs", "")))
            if not message.get("data") or (credential is not None and headers.get(SOURCE) != credential):
                return False
            marker = {
                TOPIC: headers.get(TOPIC, ""),
                ORIGIN: headers.get(ORIGIN, ""),
                FLAGS: DELETED,
                EXPECTED_LAST: str(message["seq"]),
            }
            await jetstream.request(self._devices, subject, b"", headers=marker)
        except ApiError as error:
            # Gone, or somebody else's by now.
            if error.code == NO_MESSAGE or error.code in WRONG_LAST_SEQUENCE:
                return False
            raise
        return True
