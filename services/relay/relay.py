"""One connection from a device, decrypted, and one to the broker: bytes pass as they come, and no faster.

Whichever side is slow stops the other's reading, so that memory stays bounded.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from typing import NamedTuple, cast

from cryptography import x509

from runtime.observe import from_zero, log, meter
from services.relay.connect_packet import Malformed
from services.relay.openings import Opening, Peer

_log = log(part="relay")
_connections = meter.create_up_down_counter("hybridmq.relay.connections", description="Devices connected now")
_refused = meter.create_counter("hybridmq.relay.refused", description="Connections ended here, by reason")
REASONS = ("broker unreachable", "malformed", "silent", "too many connections")
from_zero(_connections)
from_zero(_refused, *({"reason": reason} for reason in REASONS))
OPENING_S = 10.0  # from the end of the handshake to a whole CONNECT
UPSTREAM_S = 5.0


class Broker(NamedTuple):
    """Where bytes go on to; `tls`: encrypted anew."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


class Limits:
    """How many connections there are, and may be."""

    def __init__(self, connections_max: int) -> None:
        self.connections_max = connections_max
        self.open: set[Device] = set()


class Device(asyncio.Protocol):
    """The side of the device, after the TLS handshake."""

    def __init__(self, opening: Opening, upstream: Broker, limits: Limits) -> None:
        self._opening, self._broker, self._limits = opening, upstream, limits
        self._buffer = b""
        self._upstream: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._limits.open.add(self)
        _connections.add(1)
        self._timer = asyncio.get_running_loop().call_later(OPENING_S, self._end, "silent")
        if len(self._limits.open) > self._limits.connections_max:
            self._end("too many connections")
            return
        self._peer = _peer(self.transport)

    def data_received(self, data: bytes) -> None:
        if self._upstream is not None:
            self._upstream.write(data)
            return
        self._buffer += data
        if self._connecting is not None:
            return
        try:
            opened = self._opening(self._buffer, self._peer)
        except Malformed as error:
            _log.info("not a connect", address=self._peer.address, error=str(error))
            self._end("malformed")
            return
        if opened is not None:
            self._timer.cancel()
            self._buffer = opened
            self.transport.pause_reading()
            self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(UPSTREAM_S):
                upstream, _ = await asyncio.get_running_loop().create_connection(
                    lambda: Upstream(self.transport),
                    self._broker.host,
                    self._broker.port,
                    ssl=self._broker.tls,
                )
        except (OSError, TimeoutError) as error:
            _log.warning("the broker cannot be reached", error=repr(error))
            self._end("broker unreachable")
            return
        if self.transport.is_closing():
            upstream.abort()
            return
        self._upstream = upstream
        upstream.write(self._buffer)
        self._buffer = b""
        self.transport.resume_reading()

    def pause_writing(self) -> None:
        if self._upstream is not None:
            self._upstream.pause_reading()

    def resume_writing(self) -> None:
        if self._upstream is not None and not self._upstream.is_closing():
            self._upstream.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        self._timer.cancel()
        self._limits.open.discard(self)
        _connections.add(-1)
        if self._upstream is not None:
            self._upstream.close()  # what the device sent before still arrives

    def _end(self, reason: str) -> None:
        _refused.add(1, {"reason": reason})
        self.transport.abort()


class Upstream(asyncio.Protocol):
    """The side of the broker."""

    def __init__(self, device: asyncio.Transport) -> None:
        self._device = device

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._device.write(data)

    def pause_writing(self) -> None:
        self._device.pause_reading()

    def resume_writing(self) -> None:
        if not self._device.is_closing():
            self._device.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        self._device.close()


def _peer(transport: asyncio.Transport) -> Peer:
    address = transport.get_extra_info("peername")[0]
    tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
    certificate = tls.getpeercert(binary_form=True)
    if certificate is None:
        return Peer(address, None, None)
    read = x509.load_der_x509_certificate(certificate)
    fingerprint = hashlib.sha256(certificate).hexdigest()
    return Peer(address, fingerprint, read.subject.rfc4514_string(), read.not_valid_after_utc.timestamp())
