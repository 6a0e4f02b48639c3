"""The few JetStream API calls that we use, as plain requests with errors that have a family."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts.failures import Unavailable

NO_MESSAGE = 10037
STREAM_NOT_FOUND = 10059
WRONG_LAST_SEQUENCE = (10071, 10164)  # a plain append, and one within an atomic batch
DUPLICATE_IN_BATCH = 10201


class ApiError(Exception):
    """JetStream answered with an error; `code` is its err_code."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"{description} ({code})")
        self.code = code


def parse(data: bytes) -> dict[str, Any]:
    """The answer of the JetStream API or of a publish; raises ApiError."""
    answer: dict[str, Any] = json.loads(data)
    if error := answer.get("error"):
        raise ApiError(error.get("err_code", 0), error.get("description", "unknown error"))
    return answer


async def request(
    client: Client,
    subject: str,
    body: bytes | dict[str, Any] = b"",
    *,
    headers: dict[str, str] | None = None,
    timeout_s: float = 5.0,
) -> dict[str, Any]:
    """One API call. Raises ApiError, or Unavailable("log.unavailable") when nobody answers in time."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        answer = await client.request(subject, data, timeout=timeout_s, headers=headers)
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise Unavailable("log.unavailable", f"{subject}: {error!r}") from error
    return parse(answer.data)


async def direct_batch(
    client: Client, stream: str, query: dict[str, Any], *, timeout_s: float = 2.0
) -> list[Msg]:
    """The messages of one batched direct get, oldest first; none where there are none.

    Raises Unavailable("log.unavailable").
    """
    inbox = client.new_inbox()
    received = await client.subscribe(inbox)
    messages: list[Msg] = []
    try:
        await client.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(query).encode(), reply=inbox)
        while True:
            message = await received.next_msg(timeout=timeout_s)
            status = (message.headers or {}).get("Status")
            if status in ("204", "404"):  # end of batch; none at all
                return messages
            if status is not None:
                raise Unavailable("log.unavailable", f"{stream}: {message.headers}")
            messages.append(message)
    except (nats.errors.Error, TimeoutError) as error:
        raise Unavailable("log.unavailable", f"reading {stream}: {error!r}") from error
    finally:
        if not client.is_closed:
            await received.unsubscribe()


async def stream_state(client: Client, stream: str) -> StreamState:
    """Where a stream begins and ends, and when it was created (its epoch)."""
    info = await request(client, f"$JS.API.STREAM.INFO.{stream}")
    state = info["state"]
    now = parse_time(info["ts"]) if "ts" in info else None
    return StreamState(info["created"], state["first_seq"], state["last_seq"], now)


class StreamState:
    """`now` is the server's time of the answer."""

    __slots__ = ("created", "first", "last", "now")

    def __init__(self, created: str, first: int, last: int, now: datetime | None = None) -> None:
        self.now = now
        self.created = created
        self.first = first
        self.last = last


def parse_time(value: str) -> datetime:
    """A time of the server's (RFC 3339, up to nanoseconds) in microseconds."""
    body, fraction = value.rstrip("Z"), ""
    if "." in body:
        body, fraction = body.split(".")
    return datetime.fromisoformat(f"{body}.{fraction[:6]:0<6}+00:00")


def parse_time_ns(value: str) -> int:
    """The same in nanoseconds since 1970, as a pull's entries have it."""
    body, _, fraction = value.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(f"{body}+00:00").timestamp()) * 1_000_000_000 + int(f"{fraction:0<9}")
