"""TLS as a client: who may be believed, who we are, and the handshake (RFC 8446, 5246)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, cast

from contracts.failures import Failure, Refused
from services.ingest import tls_failures
from services.ingest.certificates import CertificateSeen, certificate_seen
from services.ingest.channel import READ_BYTES, Channel, NothingYet, receive

RECORD_BYTES = 16_384  # RFC 8446 §5.1
_view = memoryview(bytearray(READ_BYTES + 2 * RECORD_BYTES))  # of all channels: it is emptied in each call
_SYSTEM_CONTEXTS = 32  # combinations of ALPN and `verify`; each holds the system's 140 authorities


class Trust(NamedTuple):
    """What a TLS connection is made with; PEM as text."""

    server_name: str
    ca: str | None = None  # None: the system's authorities
    certificate: str | None = None
    key: str | None = None
    alpn: tuple[str, ...] = ()
    verify: bool = True


class Seen(NamedTuple):
    """What a handshake agreed on, and the peer's certificates, its own first."""

    version: str
    cipher: str
    alpn: str | None
    chain: tuple[CertificateSeen, ...]


class TlsChannel:
    """TLS over another channel.

    Over memory, not over the socket: an SSL socket reads each record by two system calls, and brokers send
    each message as a record of its own.
    """

    __slots__ = ("_in", "_lower", "_out", "_showed_certificate", "_tls", "fileno")

    def __init__(
        self,
        lower: Channel,
        tls: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        trust: Trust,
    ) -> None:
        self._lower, self._tls, self._in, self._out = lower, tls, incoming, outgoing
        self._showed_certificate = trust.certificate is not None
        self.fileno = lower.fileno

    def begin(self) -> None:
        """Sends what ends the handshake; where the peer is gone, `receive` tells what it said last."""
        with contextlib.suppress(OSError):
            self._drain()

    def receive(self) -> bytes:
        data = self._decrypted()  # what came together with the handshake
        if data:
            return data
        raw = self._lower.receive()
        if raw:
            self._in.write(raw)
        else:
            self._in.write_eof()
        data = self._decrypted()
        if raw and not data:
            raise NothingYet
        return data

    def _decrypted(self) -> bytes:
        read, filled = self._tls.read, 0
        try:
            # What `receive` hands in is READ_BYTES at most, and is longer encrypted than decrypted.
            while more := read(RECORD_BYTES, _view[filled:]):  # a number, where it is given a buffer
                filled += cast("int", more)
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass  # closed; a length is part of every MQTT packet, so that a cut cannot pass for an end
        except ssl.SSLError as error:
            if not filled:  # else at the next call
                raise tls_failures.explained(
                    error, showed_certificate=self._showed_certificate, established=True
                ) from error
        self._drain()  # the answer to a key update
        return bytes(_view[:filled])

    def send(self, data: bytes) -> None:
        self._tls.write(data)
        self._drain()

    def _drain(self) -> None:
        if self._out.pending:
            self._lower.send(self._out.read())

    def flush(self) -> None:
        self._lower.flush()

    @property
    def waiting(self) -> int:
        return self._lower.waiting

    def close(self) -> None:
        if self.fileno() >= 0:
            with contextlib.suppress(ssl.SSLError, OSError, Failure):
                try:
                    self._tls.unwrap()  # says goodbye, and would wait for an answer
                finally:
                    self._drain()
        self._lower.close()

    def seen(self) -> Seen:
        cipher = self._tls.cipher()
        chain = tuple(certificate_seen(der) for der in _chain(self._tls))
        return Seen(
            self._tls.version() or "?",
            cipher[0] if cipher else "?",
            self._tls.selected_alpn_protocol(),
            chain,
        )


async def handshake(lower: Channel, trust: Trust) -> TlsChannel:
    """TLS over a connected channel; the caller closes it where this raises, and bounds the time.

    Raises Refused("tls.…") with what is wrong, Unavailable("tls.closed") where the peer hangs up.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        made = await _context(trust)
        tls = made.wrap_bio(incoming, outgoing, server_hostname=trust.server_name)
    except (ValueError, UnicodeError) as error:
        raise Refused("tls.name", f"{trust.server_name} cannot be a server's name: {error}") from error
    heard = b""  # the first bytes tell whether this is TLS at all
    records = 0
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            with contextlib.suppress(OSError):
                lower.send(outgoing.read())  # our alert tells the peer why
            if heard and heard[0] not in tls_failures.CONTENT_TYPES:
                raise Refused("tls.plaintext", tls_failures.plaintext(heard)) from error
            raise tls_failures.explained(
                error, showed_certificate=trust.certificate is not None, established=records > 0
            ) from error
        else:
            channel = TlsChannel(lower, tls, incoming, outgoing, trust)
            channel.begin()
            return channel
        try:
            lower.send(outgoing.read())
            raw = await receive(lower)
        except OSError as error:
            raise tls_failures.hung_up(heard) from error
        if not raw:
            raise tls_failures.hung_up(heard)
        heard = heard or raw[:16]
        records += raw[0] == tls_failures.HANDSHAKE
        incoming.write(raw)


async def _context(trust: Trust) -> ssl.SSLContext:
    if trust.certificate is None and trust.ca is None:
        return _system_context(trust.alpn, trust.verify)
    # Reading the system's authorities takes 70 ms; no other link waits for that.
    return await asyncio.to_thread(_new_context, trust)


@lru_cache(maxsize=_SYSTEM_CONTEXTS)
def _system_context(alpn: tuple[str, ...], verify: bool) -> ssl.SSLContext:
    return _new_context(Trust("", alpn=alpn, verify=verify))


def _new_context(trust: Trust) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not trust.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif trust.ca is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(cadata=trust.ca)
        except ssl.SSLError as error:
            raise Refused(
                "tls.certificate", f"`ca` cannot be read: {error.reason}", field="settings.tls.ca"
            ) from error
        # An intermediate that its owner chose to trust is enough (RFC 5280 leaves what is an anchor to us).
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if trust.alpn:
        context.set_alpn_protocols(list(trust.alpn))
    if trust.certificate is not None:
        _show(context, trust.certificate, trust.key or "")
    return context


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    with _as_file(f"{certificate.strip()}\n{key.strip()}\n".encode()) as path:
        try:
            # No passphrase is ever asked for: without a callback OpenSSL would ask at the terminal.
            context.load_cert_chain(path, password=lambda: b"")
        except ssl.SSLError as error:
            words = (
                "the client's key does not belong to its certificate"
                if error.reason == "KEY_VALUES_MISMATCH"
                else f"the client's certificate or key cannot be read: {error.reason or 'no PEM, or encrypted'}"
            )
            raise Refused("tls.certificate", words, field="settings.tls.client_certificate") from error


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path that nobody else can open, in memory where the system can."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("client certificate", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.NamedTemporaryFile() as file:  # mode 0600, gone at the end
            file.write(content)
            file.flush()
            yield file.name


def _chain(tls: ssl.SSLObject) -> list[bytes]:
    """The certificates as the peer sent them (DER)."""
    inner = tls._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 — public from Python 3.13 on
    return [each.public_bytes(2) for each in inner.get_unverified_chain() or ()]


async def look(lower: Channel, trust: Trust) -> Seen | None:
    """What a peer that was not believed shows of itself: nothing is sent over it, nothing of ours is shown."""
    try:
        channel = await handshake(lower, trust._replace(verify=False, ca=None, certificate=None, key=None))
    except (Failure, OSError):
        return None
    return channel.seen()
