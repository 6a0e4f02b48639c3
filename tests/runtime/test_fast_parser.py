"""The short cut past nats-py's delivery: same messages, whatever way the bytes are cut."""

import asyncio
import json
from typing import Any

import pytest
from nats.errors import ProtocolError

from deploy.local.nats import NatsServer
from runtime import fast_parser
from runtime.fast_parser import LINE_BYTES_MAX, FastParser
from tests.support.clients import platform_client


class Recorder:
    """Stands where the parser's client stands, and writes down what reaches it."""

    def __init__(self) -> None:
        self.stats = {"in_msgs": 0, "in_bytes": 0}
        self.slow: list[tuple[int, bytes, bytes, bytes, bytes | None]] = []
        self.pings = 0

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, header: bytes | None
    ) -> None:
        self.slow.append((sid, bytes(subject), bytes(reply), bytes(data), header))

    async def _process_ping(self) -> None:
        self.pings += 1


def new_parser() -> tuple[FastParser, Recorder, list[tuple[bytes, bytes, bytes, bytes]]]:
    recorder: Any = Recorder()
    parser = FastParser(recorder)
    seen: list[tuple[bytes, bytes, bytes, bytes]] = []
    parser.hot[b"7"] = lambda *message: seen.append(message)
    return parser, recorder, seen


HEADERS = b"NATS/1.0\r\nNmqtt-Pub: 1\r\n\r\n"
INNER = b"\r\nMSG inside 7 1\r\nx"  # a payload that looks like the protocol
WIRE = (
    b"MSG a.b 7 5\r\nhello\r\n"
    b"PING\r\n"
    b"HMSG c 7 reply.to %d %d\r\n%s%s\r\n"
    % (len(HEADERS), len(HEADERS + INNER), HEADERS, INNER)
    + b"MSG slow 9 re 2\r\nok\r\n"
    + b"MSG empty 7 0\r\n\r\n"
)
HOT = [
    (b"a.b", b"", b"", b"hello"),
    (b"c", b"reply.to", HEADERS, INNER),
    (b"empty", b"", b"", b""),
]


@pytest.mark.parametrize("cut", range(1, len(WIRE)))
async def test_a_stream_of_bytes_means_the_same_wherever_it_is_cut(cut: int) -> None:
    parser, recorder, seen = new_parser()
    await parser.parse(WIRE[:cut])
    await parser.parse(WIRE[cut:])
    assert seen == HOT
    assert recorder.slow == [(9, b"slow", b"re", b"ok", None)]
    assert recorder.pings == 1
    assert recorder.stats["in_msgs"] == 3


async def test_a_reset_forgets_the_unfinished_unit() -> None:
    parser, _, seen = new_parser()
    await parser.parse(b"MSG a 7 10\r\nhal")
    parser.reset()
    await parser.parse(b"MSG b 7 2\r\nok\r\n")
    assert seen == [(b"b", b"", b"", b"ok")]


async def test_a_line_without_an_end_is_refused() -> None:
    parser, _, _ = new_parser()
    with pytest.raises(ProtocolError):
        await parser.parse(b"X" * (LINE_BYTES_MAX + 1))


def test_a_status_and_headers_are_read() -> None:
    raw = b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 5\r\n\r\n"
    assert fast_parser.headers(raw) == {
        "Status": "408",
        "Description": "Request Timeout",
        "Nats-Pending-Messages": "5",
    }


async def test_hot_and_plain_subscriptions_live_on_one_connection(provisioned_nats: NatsServer) -> None:
    async with platform_client(provisioned_nats, "gateway") as client:
        hot: asyncio.Queue[bytes] = asyncio.Queue()
        inbox, question = client.new_inbox(), "$JS.API.STREAM.INFO.MESSAGES"
        subscription = await fast_parser.subscribe(client, inbox, lambda *message: hot.put_nowait(message[3]))
        await client.publish(question, reply=inbox)
        plain = await client.request(question, timeout=5)
        quick = await asyncio.wait_for(hot.get(), 5)
        assert json.loads(quick)["created"] == json.loads(plain.data)["created"]
        await subscription.unsubscribe()
        await client.publish(question, reply=inbox)
        await client.request(question, timeout=5)
        assert hot.empty()
