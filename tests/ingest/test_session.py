"""What a session says to a broker, and what it makes of what a broker says: against a scripted one, byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from contracts.broker_settings import broker_settings
from contracts.broker_topics import TopicFilter
from contracts.failures import Failure, Refused
from deploy.local.ports import LOOPBACK
from services.ingest import keepalive
from services.ingest.connecting import open_session
from services.ingest.frames import Incoming
from services.ingest.network import Network
from services.ingest.policy import ANYTHING
from services.ingest.session import Session
from services.ingest.wishes import Wishes
from tests.support.eventually import eventually

ACCEPTED = {"3.1.1": b"\x20\x02\x00\x00", "5": b"\x20\x03\x00\x00\x00"}
BOTH = pytest.mark.parametrize("version", ["3.1.1", "5"])


class Script:
    """A broker's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def hear(self) -> bytes:
        """The next packet, whole."""
        head = await self._reader.readexactly(2)
        while head[-1] & 0x80:
            head += await self._reader.readexactly(1)
        length = sum((byte & 0x7F) << 7 * at for at, byte in enumerate(head[1:]))
        return head + await self._reader.readexactly(length)

    async def silent_for(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._reader.readexactly(1), seconds)
        except TimeoutError:
            return True
        return False

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    def hang_up(self) -> None:
        self._writer.close()


Play = Callable[[Script], Any]


@asynccontextmanager
async def broker(play: Play) -> AsyncIterator[int]:
    """Plays a script with each connection; its defects fail the test. The port."""
    defects: list[BaseException] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await play(Script(reader, writer))
            await reader.read()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except AssertionError as defect:
            defects.append(defect)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
    assert not defects, defects


def session_with(port: int, *, version: str = "3.1.1", on: Any = lambda _, __: None, **settings: Any) -> Any:
    made = broker_settings(host=LOOPBACK, port=port, mqtt_version=version, **settings)
    return open_session(Network(ANYTHING), made, {"password": "p"}, "me", on, clean=False)


def accepting(then: Play | None = None, *, answer: bytes | None = None, version: str = "3.1.1") -> Play:
    async def play(script: Script) -> None:
        assert (await script.hear())[0] == 0x10
        script.say(answer or ACCEPTED[version])
        if then is not None:
            await then(script)

    return play


async def refusal(port: int, **settings: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        async with session_with(port, **settings):
            pass
    return caught.value


@BOTH
async def test_connect_says_who_we_are_and_asks_for_a_kept_session(version: str) -> None:
    heard = []

    async def play(script: Script) -> None:
        heard.append(await script.hear())
        script.say(ACCEPTED[version])

    async with broker(play) as port, session_with(port, version=version, username="u", keepalive_s=77):
        pass
    expected = {
        "3.1.1": b"\x10\x14\x00\x04MQTT\x04\xc0\x00\x4d\x00\x02me\x00\x01u\x00\x01p",
        # session expiry and receive maximum
        "5": b"\x10\x1d\x00\x04MQTT\x05\xc0\x00\x4d\x08\x21\x03\xe8\x11\x00\x09\x3a\x80"
        b"\x00\x02me\x00\x01u\x00\x01p",
    }
    assert heard == [expected[version]]


@pytest.mark.parametrize(
    ("version", "answer", "family", "code", "words"),
    [
        ("3.1.1", b"\x20\x02\x00\x05", "refused", "broker.credentials", "Not authorized"),
        ("3.1.1", b"\x20\x02\x00\x04", "refused", "broker.credentials", "Bad user name or password"),
        ("3.1.1", b"\x20\x02\x00\x02", "refused", "broker.client_id", "Client identifier not valid"),
        ("3.1.1", b"\x20\x02\x00\x03", "unavailable", "broker.busy", "Server unavailable"),
        ("5", b"\x20\x02\x00\x01", "refused", "broker.version", "Unsupported protocol version"),
        (
            "5",
            b"\x20\x09\x00\x87\x06\x1f\x00\x03no!",
            "refused",
            "broker.credentials",
            "Not authorized (no!)",
        ),
        ("5", b"\x20\x03\x00\x89\x00", "unavailable", "broker.busy", "Server busy"),
        ("5", b"\x20\x03\x00\xef\x00", "refused", "broker.refused", "Reason code 0xef"),
    ],
)
async def test_a_refusal_is_told_in_the_brokers_words(
    version: str, answer: bytes, family: str, code: str, words: str
) -> None:
    async with broker(accepting(answer=answer)) as port:
        failure = await refusal(port, version=version)
    assert (failure.family, failure.code, failure.detail) == (family, code, words)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xd0\x00",  # something before CONNACK
        b"\x30\x05\x00\x01axx",  # a message before CONNACK
        b"\x20\x00",
        b"\x20\xff\xff\xff\xff\xff",
        b"\x20\x05\x00\x00\x09\x7f\x00",  # properties that end early
    ],
)
async def test_what_is_no_connack_is_no_broker(answer: bytes) -> None:
    async with broker(accepting(answer=answer)) as port:
        failure = await refusal(port, version="5")
    assert (failure.family, failure.code) == ("unavailable", "broker.not_mqtt")


async def test_a_broker_that_hangs_up_at_once_is_told_from_one_that_cannot_be_reached() -> None:
    async def play(script: Script) -> None:
        await script.hear()
        script.hang_up()

    async with broker(play) as port:
        failure = await refusal(port)
    assert failure.code == "broker.closed"
    assert "hung up before a CONNACK" in failure.detail


async def test_nothing_is_acknowledged_before_it_is_asked_for() -> None:
    came: list[Incoming] = []
    arrived = asyncio.Event()

    def on(_: Session, messages: list[Incoming]) -> None:
        came.extend(messages)
        arrived.set()

    async def play(script: Script) -> None:
        script.say(b"\x32\x06\x00\x01a\x00\x07x" + b"\x34\x06\x00\x01b\x00\x08y" + b"\xd0\x00")
        assert await script.hear() == b"\x40\x02\x00\x07"
        assert await script.hear() == b"\x50\x02\x00\x08"
        script.say(b"\x62\x02\x00\x08")
        assert await script.hear() == b"\x70\x02\x00\x08"

    async with broker(accepting(play)) as port, session_with(port, on=on) as session:
        await asyncio.wait_for(arrived.wait(), 10)
        assert [(message.topic, message.qos, message.mid) for message in came] == [("a", 1, 7), ("b", 2, 8)]
        session.acknowledge([(7, 1), (8, 2)])
        await asyncio.sleep(0.2)


async def test_a_publish_of_qos_2_takes_its_four_packets() -> None:
    async def play(script: Script) -> None:
        assert await script.hear() == b"\x35\x06\x00\x01t\x00\x01p"
        script.say(b"\x50\x02\x00\x01")
        assert await script.hear() == b"\x62\x02\x00\x01"
        script.say(b"\x70\x02\x00\x01")

    async with broker(accepting(play)) as port, session_with(port) as session:
        assert await session.publish("t", b"p", qos=2, retain=True) is None


@pytest.mark.parametrize(
    ("qos", "answer", "remark"),
    [(1, b"\x40\x03\x00\x01\x10", "No matching subscribers"), (1, b"\x40\x02\x00\x01", None)],
)
async def test_what_a_broker_remarks_on_a_publish_is_told(
    qos: int, answer: bytes, remark: str | None
) -> None:
    async def play(script: Script) -> None:
        await script.hear()
        script.say(answer)

    async with broker(accepting(play, version="5")) as port, session_with(port, version="5") as session:
        assert await session.publish("t", b"p", qos=qos, retain=False) == remark


@pytest.mark.parametrize(("qos", "answer"), [(1, b"\x40\x03\x00\x01\x87"), (2, b"\x50\x03\x00\x01\x87")])
async def test_a_refused_publish_is_refused(qos: int, answer: bytes) -> None:
    async def play(script: Script) -> None:
        await script.hear()
        script.say(answer)

    async with broker(accepting(play, version="5")) as port, session_with(port, version="5") as session:
        with pytest.raises(Refused, match="Not authorized"):
            await session.publish("t", b"p", qos=qos, retain=False)


async def test_wishes_travel_as_properties() -> None:
    heard = []

    async def play(script: Script) -> None:
        heard.append(await script.hear())

    async with broker(accepting(play, version="5")) as port, session_with(port, version="5") as session:
        wishes = Wishes(response_topic="r", correlation=b"c", expires_in_s=60)
        await session.publish("t", b"p", qos=0, retain=False, wishes=wishes)
        await asyncio.sleep(0.2)
    assert heard == [b"\x30\x12\x00\x01t\x0d\x08\x00\x01r\x09\x00\x01c\x02\x00\x00\x00\x3cp"]


async def test_no_more_is_under_way_than_the_broker_allows_and_the_order_stays() -> None:
    answer = b"\x20\x06\x00\x00\x03\x21\x00\x02"  # receive maximum 2
    payloads = []

    async def play(script: Script) -> None:
        waiting = []
        for _ in range(10):
            packet = await script.hear()
            waiting.append(packet[5:7])
            payloads.append(packet[-1:])
            if len(waiting) == 2:
                assert await script.silent_for(0.1), "a third is under way"
                for mid in waiting:
                    script.say(b"\x40\x02" + mid)
                waiting.clear()

    async with (
        broker(accepting(play, answer=answer)) as port,
        session_with(port, version="5") as session,
    ):
        await asyncio.gather(
            *(session.publish("t", b"%d" % number, qos=1, retain=False) for number in range(10))
        )
    assert payloads == [b"%d" % number for number in range(10)]


@pytest.mark.parametrize(
    ("properties", "publish", "words"),
    [
        (b"\x24\x01", {"qos": 2, "retain": False, "payload": b""}, "QoS 1 at most"),
        (b"\x25\x00", {"qos": 0, "retain": True, "payload": b""}, "no retained"),
        (b"\x27\x00\x00\x00\x40", {"qos": 0, "retain": False, "payload": b"x" * 100}, "64 bytes"),
    ],
)
async def test_what_a_broker_says_that_it_does_not_take_is_not_sent(
    properties: bytes, publish: dict[str, Any], words: str
) -> None:
    answer = bytes((0x20, 3 + len(properties), 0, 0, len(properties))) + properties
    async with (
        broker(accepting(answer=answer)) as port,
        session_with(port, version="5") as session,
    ):
        with pytest.raises(Refused, match=words):
            await session.publish("t", **publish)


@BOTH
async def test_filters_are_answered_one_by_one(version: str) -> None:
    five = version == "5"

    async def play(script: Script) -> None:
        packet = await script.hear()
        body = b"\0\x01a" + (b"\x11" if five else b"\x01") + b"\0\x01b" + (b"\x12" if five else b"\x02")
        assert packet[4 + five :] == body
        script.say(
            bytes((0x90, 4 + five))
            + packet[2:4]
            + (b"\0" if five else b"")
            + (b"\1\x87" if five else b"\1\x80")
        )

    topics = (TopicFilter(filter="a", qos=1), TopicFilter(filter="b", qos=2))
    async with (
        broker(accepting(play, version=version)) as port,
        session_with(port, version=version) as session,
    ):
        assert await session.subscribe(topics) == [None, "Not authorized" if five else "Unspecified error"]


async def test_a_broker_says_why_it_ends_the_connection() -> None:
    async def play(script: Script) -> None:
        script.say(b"\xe0\x02\x8e\x00")

    async with broker(accepting(play, version="5")) as port, session_with(port, version="5") as session:
        assert (
            await asyncio.wait_for(session.ended, 10) == "the broker ended the connection: Session taken over"
        )
        with pytest.raises(Failure, match="not connected"):
            await session.publish("t", b"p", qos=1, retain=False)


async def test_a_publish_under_way_ends_with_the_connection() -> None:
    async def play(script: Script) -> None:
        await script.hear()
        script.hang_up()

    async with broker(accepting(play)) as port, session_with(port) as session:
        with pytest.raises(Failure, match="ended before the acknowledgement"):
            await session.publish("t", b"p", qos=1, retain=False)


async def test_a_kept_session_is_seen() -> None:
    async with broker(accepting(answer=b"\x20\x02\x01\x00")) as port, session_with(port) as session:
        assert session.resumed


async def test_a_quiet_connection_is_pinged_and_a_dead_one_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keepalive, "PONG_S", 0.3)
    pings = []

    async def play(script: Script) -> None:
        for _ in range(2):
            pings.append(await script.hear())
            script.say(b"\xd0\x00")
        pings.append(await script.hear())

    async with (
        # The broker's own keep-alive holds: a second.
        broker(accepting(play, answer=b"\x20\x06\x00\x00\x03\x13\x00\x01")) as port,
        session_with(port, version="5", keepalive_s=3600) as session,
    ):
        assert await asyncio.wait_for(session.ended, 10) == "no answer to a ping within 0.3 s"
    assert pings == [b"\xc0\x00"] * 3


async def test_a_paused_session_reads_nothing_and_goes_on_where_it_was() -> None:
    came: list[bytes | None] = []
    paused = asyncio.Event()

    def on(session: Session, messages: list[Incoming]) -> None:
        came.extend(message.payload for message in messages)
        if not paused.is_set():
            session.pause()
            paused.set()

    async def play(script: Script) -> None:
        script.say(b"\x30\x04\x00\x01a1")
        await paused.wait()
        script.say(b"\x30\x04\x00\x01a2")

    async with broker(accepting(play)) as port, session_with(port, on=on) as session:
        await asyncio.wait_for(paused.wait(), 10)
        await asyncio.sleep(0.2)
        assert came == [b"1"]
        session.resume()
        await eventually(lambda: came == [b"1", b"2"])
