"""A key-value bucket: one stream, the last message of each subject; the few operations that we use.

Plain requests: nats-py's own watch takes 17 s to come back after a server's crash (FACTS).
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import nats.errors
from nats.aio.client import Client

from contracts.failures import Unavailable
from runtime import jetstream
from runtime.event_log import EXPECTED_LAST
from runtime.jetstream import WRONG_LAST_SEQUENCE, ApiError

OPERATION = "KV-Operation"
PAGE_BYTES_MAX = 4 * 1024 * 1024  # memory for a page, whatever its values are


class Value(NamedTuple):
    data: bytes
    revision: int
    written: datetime


class Bucket:
    """Keys are NATS tokens joined by dots."""

    def __init__(self, client: Client, name: str, *, timeout_s: float = 2.0) -> None:
        self._client, self._name, self._timeout_s = client, name, timeout_s

    async def get(self, key: str) -> Value | None:
        """The value, or None where there is none (any more)."""
        try:
            message = await self._client.request(
                f"$JS.API.DIRECT.GET.KV_{self._name}.{self._subject(key)}", b"", timeout=self._timeout_s
            )
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise Unavailable("log.unavailable", f"reading from {self._name}: {error!r}") from error
        headers = message.headers or {}
        if headers.get("Status") == "404" or OPERATION in headers:
            return None
        if "Status" in headers:
            raise Unavailable("log.unavailable", f"reading from {self._name}: {headers}")
        return Value(
            message.data, int(headers["Nats-Sequence"]), jetstream.parse_time(headers["Nats-Time-Stamp"])
        )

    async def put(self, key: str, data: bytes, *, expected: int) -> int | None:
        """The new revision; None where `expected` (0: the key is new) is not the key's revision."""
        headers = {EXPECTED_LAST: str(expected)}
        try:
            return await self._publish(key, data, headers)
        except ApiError as error:
            if error.code in WRONG_LAST_SEQUENCE:
                return None
            raise Unavailable("log.unavailable", f"writing to {self._name}: {error}") from error

    async def delete(self, key: str) -> None:
        """The value is gone at once and for ever; a marker stands in its place."""
        try:
            await self._publish(key, b"", {OPERATION: "DEL"})
        except ApiError as error:
            raise Unavailable("log.unavailable", f"deleting from {self._name}: {error}") from error

    async def keys(self, prefix: str = "") -> list[str]:
        """All keys below a prefix (whole tokens), markers of deleted ones among them."""
        pattern = self._subject(f"{prefix}.>" if prefix else ">")
        found: list[str] = []
        while True:
            query = {"subjects_filter": pattern, "offset": len(found)}
            info = await jetstream.request(self._client, f"$JS.API.STREAM.INFO.KV_{self._name}", query)
            page = info["state"].get("subjects") or {}
            found += [subject.removeprefix(self._subject("")) for subject in page]
            if not page or len(found) >= info.get("total", 0):
                return found

    async def page(self, after: int, *, limit: int = 500) -> list[tuple[str, Value]]:
        """Up to `limit` entries whose revision is above `after`, oldest first; none left: an empty list.

        What is written meanwhile moves to the end, so a walk meets every entry once or, changed, again.
        """
        found: list[tuple[str, Value]] = []
        while not found:
            messages = await jetstream.direct_batch(
                self._client,
                f"KV_{self._name}",
                {
                    "seq": after + 1,
                    "next_by_subj": self._subject(">"),
                    "batch": limit,
                    "max_bytes": PAGE_BYTES_MAX,
                },
                timeout_s=self._timeout_s,
            )
            if not messages:
                return []
            for message in messages:
                headers = message.headers or {}
                after = int(headers["Nats-Sequence"])
                if OPERATION not in headers:
                    key = headers["Nats-Subject"].removeprefix(self._subject(""))
                    written = jetstream.parse_time(headers["Nats-Time-Stamp"])
                    found.append((key, Value(message.data, after, written)))
        return found

    def _subject(self, key: str) -> str:
        return f"$KV.{self._name}.{key}"

    async def _publish(self, key: str, data: bytes, headers: dict[str, str]) -> int:
        answer = await jetstream.request(
            self._client, self._subject(key), data, headers=headers, timeout_s=self._timeout_s
        )
        return int(answer["seq"])
