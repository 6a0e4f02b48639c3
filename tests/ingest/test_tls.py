"""TLS as a client against real TLS servers: who is believed, what is seen, and what each refusal is called."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.failures import Failure, Refused
from deploy.local.ports import LOOPBACK
from services.ingest import channel, tls
from services.ingest.channel import TcpChannel
from services.ingest.network import Network
from services.ingest.policy import ANYTHING
from services.ingest.tls import TlsChannel, Trust
from services.ingest.transport import over_tcp, over_tls
from tests.support.certificates import Certificates, make_certificates

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.transport.abort()


def answering(answer: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await writer.drain()
        writer.close()

    return handle


@contextmanager
def saying_why(context: ssl.SSLContext) -> Iterator[int]:
    """A server that tells by an alert why it ends a handshake, which asyncio's does not; it echoes. Its port."""
    listener = socket.create_server((LOOPBACK, 0))

    def serve() -> None:
        with contextlib.suppress(OSError):  # closed: the end of the test
            while True:
                connection, _ = listener.accept()
                connection.settimeout(10)
                with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
                    while data := tls.recv(65_536):
                        tls.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


@asynccontextmanager
async def listening(context: ssl.SSLContext | None, handle: Handler = echo) -> AsyncIterator[int]:
    """A server on loopback; its port."""
    server = await asyncio.start_server(handle, LOOPBACK, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def server_context(
    files: Certificates, *, clients: Certificates | None = None, newest: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server, files.server_key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.authority)
    if newest is not None:
        context.maximum_version = newest
    return context


def trusting(files: Certificates, **changes: object) -> Trust:
    return Trust("localhost", ca=files.authority.read_text())._replace(**changes)  # type: ignore[arg-type]


def showing(files: Certificates, trusted: Certificates) -> Trust:
    return trusting(trusted, certificate=files.client.read_text(), key=files.client_key.read_text())


async def connect(port: int) -> TcpChannel:
    return await over_tcp(Network(ANYTHING), [LOOPBACK], port)


async def shake(port: int, trust: Trust) -> TlsChannel:
    return await over_tls(await connect(port), trust)


async def exchange(opened: TlsChannel, data: bytes) -> bytes:
    """What an echoing server gives back."""
    opened.send(data)
    got = b""
    async with asyncio.timeout(10):
        while len(got) < len(data):
            more = await channel.receive(opened)
            assert more, "the server hung up"
            got += more
    return got


async def refusal(port: int, trust: Trust) -> Failure:
    """Why there is no connection, be it said in the handshake or (as TLS 1.3 allows) after it."""
    with pytest.raises(Failure) as caught:
        await speak(port, trust)
    return caught.value


async def speak(port: int, trust: Trust) -> None:
    opened = await shake(port, trust)
    try:
        with contextlib.suppress(OSError):  # gone already: what it said last can be read
            opened.send(b"x")
        await channel.receive(opened)
    finally:
        opened.close()


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority that nobody here trusts."""
    return make_certificates(tmp_path_factory.mktemp("others"))


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_trusted_server_is_spoken_to_and_seen(
    certificates: Certificates, newest: ssl.TLSVersion
) -> None:
    context = server_context(certificates, newest=newest)
    context.set_alpn_protocols(["mqtt"])
    async with listening(context) as port:
        opened = await shake(port, trusting(certificates, alpn=("x-amzn-mqtt-ca", "mqtt")))
        seen = opened.seen()
        assert seen.version == newest.name.replace("_", ".")
        assert seen.alpn == "mqtt"
        [own] = seen.chain
        assert own.subject == "CN=test server"
        assert own.issuer == "CN=test authority"
        assert own.names == ("localhost", LOOPBACK)
        assert own.not_before is not None
        assert own.not_after is not None
        assert own.not_before < own.not_after
        assert await exchange(opened, b"hello") == b"hello"
        opened.close()
        opened.close()


async def test_what_comes_in_many_records_is_given_at_once(certificates: Certificates) -> None:
    """Nothing decrypted may wait where a selector does not see it."""

    async def burst(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        for number in range(1000):
            writer.write(b"%4d" % number)
        await writer.drain()
        await reader.read(1)
        writer.close()

    async with listening(server_context(certificates), burst) as port:
        opened = await shake(port, trusting(certificates))
        opened.send(b"!")
        got = b""
        while len(got) < 4000:
            got += await channel.receive(opened)
            hidden = opened._decrypted()
            assert hidden == b""
        assert got == b"".join(b"%4d" % number for number in range(1000))
        opened.close()


async def test_megabytes_pass_both_ways_through_full_buffers(certificates: Certificates) -> None:
    async with listening(server_context(certificates)) as port:
        opened = await shake(port, trusting(certificates))
        data = bytes(range(256)) * 16_384
        assert await exchange(opened, data) == data
        assert opened.waiting == 0
        opened.close()


async def test_an_unknown_authority_is_not_believed(certificates: Certificates, others: Certificates) -> None:
    async with listening(server_context(certificates)) as port:
        failure = await refusal(port, trusting(others))
        assert (failure.family, failure.code) == ("refused", "tls.untrusted")
        failure = await refusal(port, Trust("localhost"))  # by the system's authorities
        assert failure.code == "tls.untrusted"


async def test_a_server_of_another_name_is_not_believed_unless_that_name_is_asked_for(tmp_path: Path) -> None:
    files = make_certificates(tmp_path, host="broker.example")
    async with listening(server_context(files)) as port:
        failure = await refusal(port, trusting(files))
        assert failure.code == "tls.name"
        assert "localhost" in failure.detail
        assert (await refusal(port, trusting(files, server_name=LOOPBACK))).code == "tls.name"
        opened = await shake(port, trusting(files, server_name="broker.example"))
        assert opened.seen().chain[0].names == ("broker.example",)
        opened.close()


async def test_an_expired_server_is_not_believed(tmp_path: Path) -> None:
    files = make_certificates(tmp_path, valid_for=-timedelta(hours=1))
    async with listening(server_context(files)) as port:
        failure = await refusal(port, trusting(files))
        assert failure.code == "tls.expired"
        assert "expired" in failure.detail


async def test_without_verification_anybody_is_believed(tmp_path: Path) -> None:
    files = make_certificates(tmp_path, valid_for=-timedelta(hours=1), host="other")
    async with listening(server_context(files)) as port:
        opened = await shake(port, Trust("localhost", verify=False))
        assert opened.seen().chain[0].issuer == "CN=test authority"
        assert await exchange(opened, b"hello") == b"hello"
        opened.close()


async def test_what_is_not_believed_can_be_looked_at(
    certificates: Certificates, others: Certificates
) -> None:
    async with listening(server_context(certificates, clients=others)) as port:
        seen = await tls.look(await connect(port), showing(others, others))
        assert seen is not None
        assert seen.chain[0].subject == "CN=test server"
    async with listening(None, answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert await tls.look(await connect(port), trusting(others)) is None


async def test_the_server_hears_the_name_that_it_is_asked_for(certificates: Certificates) -> None:
    asked = []
    context = server_context(certificates)
    context.sni_callback = lambda _, name, __: asked.append(name)
    async with listening(context) as port:
        (await shake(port, trusting(certificates))).close()
        (await shake(port, trusting(certificates, server_name="a.b.example", verify=False))).close()
        (await shake(port, trusting(certificates, server_name=LOOPBACK))).close()
    assert asked == ["localhost", "a.b.example", None]  # an address is no name (RFC 6066 §3)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_is_shown_where_it_is_demanded(
    certificates: Certificates, others: Certificates, newest: ssl.TLSVersion
) -> None:
    with saying_why(server_context(certificates, clients=certificates, newest=newest)) as port:
        opened = await shake(port, showing(certificates, certificates))
        assert await exchange(opened, b"hello") == b"hello"
        opened.close()
        failure = await refusal(port, trusting(certificates))
        assert failure.code == "tls.client_certificate_required"
        failure = await refusal(port, showing(others, certificates))
        assert failure.code == "tls.client_certificate_rejected"
        assert "unknown ca" in failure.detail


async def test_an_expired_client_certificate_is_rejected(tmp_path: Path, certificates: Certificates) -> None:
    files = make_certificates(tmp_path, valid_for=-timedelta(hours=1))
    with saying_why(server_context(certificates, clients=files)) as port:
        failure = await refusal(port, showing(files, certificates))
        assert failure.code == "tls.client_certificate_rejected"
        assert "expired" in failure.detail


@pytest.mark.parametrize(
    ("certificate", "key", "words"),
    [
        ("rubbish", "rubbish", "cannot be read"),
        ("", "", "cannot be read"),
        ("own", "other", "does not belong"),
        ("own", "rubbish", "cannot be read"),
        ("own", "encrypted", "cannot be read"),
    ],
)
async def test_a_pair_that_cannot_be_shown_is_named(
    certificates: Certificates, others: Certificates, certificate: str, key: str, words: str
) -> None:
    from cryptography.hazmat.primitives import serialization as form

    read = form.load_pem_private_key(certificates.client_key.read_bytes(), None)
    locked = read.private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"x")
    ).decode()
    keys = {"other": others.client_key.read_text(), "encrypted": locked}
    pair = {"certificate": certificates.client.read_text() if certificate == "own" else certificate}
    async with listening(server_context(certificates)) as port:
        failure = await refusal(port, trusting(certificates, **pair, key=keys.get(key, key)))
    assert (failure.code, failure.family) == ("tls.certificate", "refused")
    assert words in failure.detail


async def test_an_authority_of_rubbish_is_named(certificates: Certificates) -> None:
    async with listening(server_context(certificates)) as port:
        failure = await refusal(port, trusting(certificates, ca="rubbish"))
    assert (failure.code, failure.field) == ("tls.certificate", "settings.tls.ca")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_an_old_version_of_tls_is_refused(certificates: Certificates) -> None:
    context = server_context(certificates)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with saying_why(context) as port:
        failure = await refusal(port, trusting(certificates))
        assert (failure.family, failure.code) == ("refused", "tls.protocol")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "web server"),
        (b"\x20\x02\x00\x01", "MQTT broker without TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "another service"),
        (b"\x00" * 100, "no TLS"),
    ],
)
async def test_what_speaks_no_tls_is_told_apart(answer: bytes, words: str) -> None:
    async with listening(None, answering(answer)) as port:
        failure = await refusal(port, Trust("localhost", verify=False))
        assert (failure.family, failure.code) == ("refused", "tls.plaintext")
        assert words in failure.detail


async def test_a_peer_that_hangs_up_is_tried_again_later() -> None:
    async with listening(None, closing) as port:
        failure = await refusal(port, Trust("localhost", verify=False))
        assert (failure.family, failure.code) == ("unavailable", "tls.closed")


async def test_a_silent_peer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.transport.TLS_S", 0.2)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listening(None, silent) as port:
        failure = await refusal(port, Trust("localhost", verify=False))
        assert (failure.family, failure.code) == ("unavailable", "broker.timeout")


@pytest.mark.parametrize("name", ["a..b", "x" * 300, ".a"])
async def test_what_can_be_no_server_name_is_refused(certificates: Certificates, name: str) -> None:
    async with listening(server_context(certificates)) as port:
        with pytest.raises(Refused) as caught:
            await shake(port, trusting(certificates, server_name=name))
        assert caught.value.code == "tls.name"
