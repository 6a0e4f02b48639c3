"""What the relay does with the first bytes of a connection, before it passes on everything else as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from contracts.tls_ticket import NO_USERNAME, Ticket, seal
from services.relay import connect_packet
from services.relay.connect_packet import Malformed

REQUEST_BYTES_MAX = 16 * 1024
_FORWARDED = b"x-forwarded-for:"
_FIELD_BYTES_MAX = 0xFFFF


class Peer(NamedTuple):
    """Who connects: the address, and the certificate if it showed one."""

    address: str
    fingerprint: str | None
    subject: str | None
    ends: float | None = None


Opening = Callable[[bytes, Peer], bytes | None]
"""The bytes to send on for those received so far; None while more are needed. Raises Malformed."""


def mqtt(key: bytes) -> Opening:
    """The CONNECT packet's password becomes a ticket."""

    def opening(data: bytes, peer: Peer) -> bytes | None:
        found = connect_packet.read(data)
        if found is None:
            return None
        packet, rest = found
        password = None if packet.password is None else packet.password.decode("utf-8", "replace")
        ticket = seal(
            key, Ticket(peer.address, password, peer.fingerprint, peer.subject, peer.ends), time.time()
        )
        if len(ticket) > _FIELD_BYTES_MAX:
            raise Malformed("the password is too long")
        return packet.login(packet.username or NO_USERNAME.encode(), ticket.encode()) + rest

    return opening


def unchanged(data: bytes, _: Peer) -> bytes | None:
    """The CONNECT packet as it came, once it is whole."""
    return None if connect_packet.read(data) is None else data


def websocket(data: bytes, peer: Peer) -> bytes | None:
    """The HTTP request gets the device's address; what it said of itself there is left out."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > REQUEST_BYTES_MAX:
            raise Malformed("a request header without end")
        return None
    lines = data[:end].split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(_FORWARDED)]
    kept.append(b"X-Forwarded-For: " + peer.address.encode())
    return b"\r\n".join(kept) + data[end:]
