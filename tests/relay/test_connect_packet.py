"""The CONNECT packet: read, and written again with another login."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.tls_ticket import PREFIX, Ticket, seal, unseal
from services.relay import openings
from services.relay.connect_packet import Malformed, read
from services.relay.openings import Peer

KEY = b"k" * 32
PEER = Peer("203.0.113.7", None, None)


def field(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def length(size: int) -> bytes:
    encoded = bytearray()
    while True:
        size, low = divmod(size, 128)
        encoded.append(low | 0x80 if size else low)
        if not size:
            return bytes(encoded)


def connect(
    level: int, client: bytes, will: tuple[bytes, bytes] | None, user: bytes | None, password: bytes | None
) -> bytes:
    """As MQTT 3.1.1 §3.1 and MQTT 5 §3.1 say."""
    properties = b"\x05\x11\0\0\0\x3c" if level == 5 else b""
    flags = 2 | (4 if will else 0) | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
    body = field(b"MQTT") + bytes((level, flags)) + b"\0\x3c" + properties + field(client)
    if will:
        body += (b"\0" if level == 5 else b"") + field(will[0]) + field(will[1])
    body += b"".join(field(each) for each in (user, password) if each is not None)
    return b"\x10" + length(len(body)) + body


packets = st.builds(
    connect,
    st.sampled_from([4, 5]),
    st.binary(max_size=40),
    st.none() | st.tuples(st.binary(max_size=40), st.binary(max_size=300)),
    st.none() | st.binary(max_size=40),
    st.none() | st.binary(max_size=40),
)


@given(packets, st.binary(max_size=50))
def test_with_its_own_login_a_packet_is_itself_again(packet: bytes, rest: bytes) -> None:
    found = read(packet + rest)
    assert found is not None
    assert found[1] == rest
    again = read(found[0].login(b"u", b"p"))
    assert again is not None
    assert again[0] == found[0]._replace(username=b"u", password=b"p", flags=found[0].flags | 0xC0)
    if found[0].username is not None and found[0].password is not None:
        assert found[0].login(found[0].username, found[0].password) == packet


@given(packets)
def test_a_packet_that_is_not_whole_is_waited_for(packet: bytes) -> None:
    for end in range(len(packet)):
        assert read(packet[:end]) is None


@given(st.binary(max_size=200))
def test_anything_else_is_malformed_or_waited_for_and_nothing_worse(data: bytes) -> None:
    try:
        read(data)
        read(b"\x10" + data)
    except Malformed:
        pass


@pytest.mark.parametrize(
    "data",
    [b"\x30\x02\0\0", b"GET / HTTP/1.1", b"\x10\xff\xff\xff\xff\x01", b"\x10\xff\xff\xff\x7f", b"\x10\x00"],
)
def test_what_cannot_become_a_connect_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)


@given(st.none() | st.text(max_size=50), st.none() | st.text(max_size=20))
def test_a_ticket_opens_with_its_key_and_in_its_time_only(password: str | None, subject: str | None) -> None:
    ticket = Ticket("203.0.113.7", password, "ab" * 32, subject)
    sealed = seal(KEY, ticket, 1000.0)
    assert unseal(KEY, sealed, 1029.0) == ticket
    assert unseal(KEY, sealed, 1031.0) is None
    assert unseal(b"x" * 32, sealed, 1000.0) is None
    assert unseal(KEY, sealed[:-4] + "AAA=", 1000.0) is None


@pytest.mark.parametrize("text", [PREFIX, PREFIX + "!", PREFIX + "AAAA", PREFIX + "ü", ""])
def test_what_is_no_ticket_does_not_open(text: str) -> None:
    assert unseal(KEY, text, 0) is None


def test_the_devices_own_word_for_its_address_is_left_out() -> None:
    request = (
        b"GET /mqtt HTTP/1.1\r\nHost: x\r\nx-Forwarded-FOR: 198.51.100.1\r\nUpgrade: websocket\r\n\r\nrest"
    )
    sent = openings.websocket(request, PEER)
    assert sent == (
        b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nX-Forwarded-For: 203.0.113.7\r\n\r\nrest"
    )
    assert openings.websocket(request[:40], PEER) is None
    with pytest.raises(Malformed):
        openings.websocket(b"GET /" + b"x" * 20_000, PEER)
