"""WebSocket frames and the opening handshake, by RFC 6455: however they are cut, and whatever a peer sends."""

import base64
import hashlib

import pytest

from services.ingest import websocket_frames as ws
from services.ingest.websocket_frames import Answer, Closed, Receiver, Violation

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455 §1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def served(payload: bytes, opcode: int = ws.BINARY, *, last: bool = True) -> bytes:
    """A frame as a server sends it."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 65_536:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return bytes([opcode | (0x80 if last else 0)]) + length + payload


def unmasked(data: bytes) -> tuple[int, bytes]:
    """Opcode and payload of a client's frame."""
    length, at = data[1] & 0x7F, 2
    assert data[1] & 0x80, "a client must mask"
    if length >= 126:
        at = 4 if length == 126 else 10
        length = int.from_bytes(data[2:at], "big")
    key, payload = data[at : at + 4], data[at + 4 :]
    assert len(payload) == length
    return data[0], bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


STREAM = (
    served(b"one")
    + served(b"ping!", ws.PING)
    + served(b"tw", last=False)
    + served(b"", ws.PING)
    + served(b"o" * 200, ws.CONTINUATION, last=False)
    + served(b"", ws.CONTINUATION)
    + served(b"x", ws.PONG)
    + served(b"three" * 15_000)
)
PAYLOAD = b"one" + b"tw" + b"o" * 200 + b"three" * 15_000


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 64, 1000, 100_000])
def test_a_cut_at_any_byte_changes_nothing(step: int) -> None:
    receiver = Receiver()
    got = b"".join(receiver.take(STREAM[at : at + step]) for at in range(0, len(STREAM), step))
    assert got == PAYLOAD
    assert receiver.replies == [b"ping!", b""]


def test_payload_is_handed_on_before_its_frame_is_whole() -> None:
    receiver = Receiver()
    frame = served(b"x" * 1_000_000)
    assert receiver.take(frame[:500_000]) == b"x" * (500_000 - 10)
    assert receiver._rest == b""


def test_a_goodbye_comes_after_what_was_said_before_it() -> None:
    receiver = Receiver()
    goodbye = served((1001).to_bytes(2, "big") + b"going\naway", ws.CLOSE)
    assert receiver.take(served(b"last") + goodbye + b"rubbish") == b"last"
    with pytest.raises(Closed, match=r"1001 going.away") as caught:
        receiver.take(b"")
    assert caught.value.code == 1001


def test_a_goodbye_may_have_no_code() -> None:
    with pytest.raises(Closed) as caught:
        Receiver().take(served(b"", ws.CLOSE))
    assert caught.value.code is None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xc2\x01x", 1002),  # a reserved bit
        (b"\x82\x81\0\0\0\0x", 1002),  # masked
        (b"\x83\x01x", 1002),  # an opcode that is not defined
        (b"\x8b\x00", 1002),
        (b"\x81\x01x", 1003),  # text
        (served(b"x", ws.CONTINUATION), 1002),  # continues nothing
        (served(b"x", last=False) + served(b"y"), 1002),  # a message inside another
        (served(b"x", ws.PING, last=False), 1002),
        (b"\x89\x7e\x00\x80" + b"x" * 128, 1002),  # a long ping
        (b"\x82\x7f" + b"\xff" * 8, 1002),  # a length of 64 bits
    ],
)
def test_what_breaks_the_rules_is_refused(data: bytes, code: int) -> None:
    with pytest.raises(Violation) as caught:
        Receiver().take(data)
    assert caught.value.code == code


@pytest.mark.parametrize("size", [0, 1, 3, 4, 125, 126, 65_535, 65_536, 262_144])
def test_what_is_sent_is_masked(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    assert unmasked(ws.frame(payload[:size])) == (0x80 | ws.BINARY, payload[:size])


def test_each_frame_has_a_mask_of_its_own() -> None:
    assert len({ws.frame(b"same") for _ in range(100)}) == 100


def test_the_request_names_the_host_the_path_and_the_protocol() -> None:
    lines = ws.request("broker.example", 443, "/mqtt?a=b", KEY, tls=True).decode().split("\r\n")
    assert lines[0] == "GET /mqtt?a=b HTTP/1.1"
    assert "Host: broker.example" in lines
    assert f"Sec-WebSocket-Key: {KEY}" in lines
    assert "Sec-WebSocket-Protocol: mqtt" in lines
    assert lines[-2:] == ["", ""]


@pytest.mark.parametrize(
    ("host", "port", "tls", "expected"),
    [
        ("broker.example", 80, False, "broker.example"),
        ("broker.example", 80, True, "broker.example:80"),
        ("broker.example", 8083, False, "broker.example:8083"),
        ("::1", 8083, False, "[::1]:8083"),
        ("bücher.example", 443, True, "xn--bcher-kva.example"),
    ],
)
def test_the_host_is_written_as_http_has_it(host: str, port: int, tls: bool, expected: str) -> None:
    assert f"\r\nHost: {expected}\r\n" in ws.request(host, port, "/", KEY, tls=tls).decode()


@pytest.mark.parametrize("path", ["mqtt", "/a b", "/a\r\nX: y", "/ä", ""])
def test_a_path_that_could_be_more_than_a_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        ws.request("h", 80, path, KEY, tls=False)


HEAD = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
).encode()


def test_the_answer_is_read_however_it_is_cut() -> None:
    for cut in range(len(HEAD)):
        assert ws.answer(HEAD[:cut]) is None
    found = ws.answer(HEAD + b"\x82\x00")
    assert found is not None
    head, rest = found
    assert (head.status, head.reason, rest) == (101, "Switching Protocols", b"\x82\x00")
    assert ws.objection(head, KEY) is None


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("upgrade", "h2c"),
        ("connection", "close"),
        ("sec-websocket-accept", base64.b64encode(hashlib.sha1(b"other").digest()).decode()),
        ("sec-websocket-protocol", "chat"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ],
)
def test_an_answer_that_was_not_asked_for_is_refused(header: str, value: str) -> None:
    found = ws.answer(HEAD)
    assert found is not None
    headers = {**found[0].headers, header: value}
    assert ws.objection(Answer(101, "", headers), KEY) is not None


@pytest.mark.parametrize("header", ["upgrade", "connection", "sec-websocket-accept"])
def test_an_answer_without_what_makes_a_websocket_is_refused(header: str) -> None:
    found = ws.answer(HEAD)
    assert found is not None
    headers = {name: value for name, value in found[0].headers.items() if name != header}
    assert ws.objection(Answer(101, "", headers), KEY) is not None


@pytest.mark.parametrize("data", [b"\x20\x02\x00\x00", b"SSH-2.0", b"HTTP/2", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_http_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"HTTP|status"):
        ws.answer(data)


def test_a_head_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        ws.answer(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000)
