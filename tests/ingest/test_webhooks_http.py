"""Calls over HTTP: to the very address that was checked, believed only with a certificate, bounded in all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.failures import Refused, Unavailable
from services.ingest.network import Network
from services.ingest.policy import Policy, networks
from services.ingest.webhooks.http import Caller, Client, Sent
from tests.support.certificates import Certificates, make_certificates
from tests.support.receiver import Receiver, answer, receiving

LOCAL = Policy(networks("127.0.0.0/8"))
PUBLIC = Policy()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


def client(policy: Policy = LOCAL, timeout_s: float = 5.0, authorities: Path | None = None) -> Client:
    return Client(Network(policy), timeout_s, authorities)


async def send(url: str, by: Client | None = None, body: bytes = b"{}") -> Sent:
    caller = Caller(by or client(), url)
    try:
        return await caller.send({"x-key": "v"}, body)
    finally:
        await caller.close()


def secured(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    return context


async def test_what_is_sent_arrives_and_the_answer_comes_back(receiver: Receiver) -> None:
    receiver.always(answer(201, b"thanks"))
    sent = await send(receiver.url + "?a=1%20b")
    assert (sent.outcome.status, sent.outcome.code, sent.answer) == (201, None, b"thanks")
    [call] = receiver.calls
    assert call.path == "/hook?a=1%20b"
    assert call.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert (call.headers["x-key"], call.body) == ("v", b"{}")


async def test_a_connection_is_kept_for_the_next_call_and_one_that_was_closed_is_replaced(
    receiver: Receiver,
) -> None:
    caller = Caller(client(), receiver.url)
    for _ in range(3):
        assert (await caller.send({}, b"{}")).outcome.code is None
    assert receiver.connections == 1
    receiver.answers = lambda _: answer(200, connection="close") if len(receiver.calls) == 4 else answer(200)
    for _ in range(3):
        assert (await caller.send({}, b"{}")).outcome.code is None
    assert receiver.connections == 2
    await caller.close()


async def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Receiver) -> None:
    async with receiving() as elsewhere:
        receiver.always(answer(302, location=elsewhere.url))
        sent = await send(receiver.url)
        assert (sent.outcome.status, sent.outcome.code) == (302, "webhook.redirected")
        assert not elsewhere.calls


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://127.0.0.1/", "loopback"),
        ("https://[::1]/", "loopback"),
        ("https://10.1.2.3/", "private"),
        ("https://169.254.169.254/latest/meta-data", "cloud"),
        ("https://[::ffff:10.0.0.1]/", "private"),
        ("https://localhost/", "loopback"),
        ("https://0x7f.1/", "loopback"),
    ],
)
async def test_no_address_of_our_own_is_called(url: str, why: str) -> None:
    sent = await send(url, client(PUBLIC))
    assert (sent.step, sent.outcome.code) == ("address", "address.forbidden")
    assert why in sent.outcome.detail
    with pytest.raises(Refused) as refused:
        await client(PUBLIC).check(url)
    assert (refused.value.code, refused.value.field) == ("address.forbidden", "url")


async def test_clouds_own_services_are_never_called_whatever_is_allowed() -> None:
    everything = client(Policy(networks("0.0.0.0/0")))
    assert (await send("http://169.254.169.254/", everything)).outcome.code == "address.forbidden"


async def test_plain_http_is_for_the_operators_own_networks() -> None:
    sent = await send("http://192.0.2.1/", client(Policy(networks("127.0.0.0/8"))))
    assert sent.outcome.code in ("address.forbidden", "webhook.insecure")
    with pytest.raises(Refused) as refused:
        await client(PUBLIC).check("http://1.1.1.1/")
    assert refused.value.code == "webhook.insecure"
    await client(LOCAL).check("http://127.0.0.1:5/")


async def test_the_address_that_was_checked_is_the_one_that_is_called(receiver: Receiver) -> None:
    """A name server that says something else each time it is asked (DNS rebinding)."""
    asked = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) % 2 else ["169.254.169.254"]

    by = Client(Network(LOCAL, rebinding), 5.0)
    url = f"http://hooks.example:{receiver.port}/hook"
    assert (await send(url, by)).outcome.code is None
    assert (asked, receiver.calls[0].headers["host"]) == (["hooks.example"], f"hooks.example:{receiver.port}")
    assert (await send(url, by)).outcome.code == "address.forbidden"
    assert len(receiver.calls) == 1


async def test_one_forbidden_address_among_several_refuses_the_name(receiver: Receiver) -> None:
    async def mixed(host: str, port: int) -> list[str]:
        return ["127.0.0.1", "10.0.0.1"]

    sent = await send(f"http://hooks.example:{receiver.port}/", Client(Network(LOCAL, mixed), 5.0))
    assert sent.outcome.code == "address.forbidden"
    assert not receiver.calls


async def test_a_certificate_is_believed_by_its_authority_and_its_name(certificates: Certificates) -> None:
    async with receiving(secured(certificates)) as receiver:
        by = client(authorities=certificates.authority)
        assert (await send(receiver.url, by)).outcome.code is None
        stranger = await send(receiver.url)
        assert (stranger.step, stranger.outcome.code) == ("tls", "tls.untrusted")

        async def resolver(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        named = Client(Network(LOCAL, resolver), 5.0, certificates.authority)
        other = await send(f"https://hooks.example:{receiver.port}/", named)
        assert (other.step, other.outcome.code) == ("tls", "tls.name")
        assert len(receiver.calls) == 1


async def test_an_expired_certificate_is_not_believed(tmp_path: Path) -> None:
    expired = make_certificates(tmp_path, valid_for=timedelta(hours=-1))
    async with receiving(secured(expired)) as receiver:
        sent = await send(receiver.url, client(authorities=expired.authority))
        assert (sent.step, sent.outcome.code) == ("tls", "tls.expired")


async def test_what_answers_in_plain_where_tls_is_expected() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    sent = await send(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert sent.step == "tls"
    assert (sent.outcome.code or "").startswith("tls.")
    server.close()


async def test_a_peer_that_is_silent_at_the_tls_greeting_is_told_as_such(receiver: Receiver) -> None:
    sent = await send(f"https://127.0.0.1:{receiver.port}/", client(timeout_s=0.5))
    assert (sent.step, sent.outcome.code) == ("tls", "webhook.timeout")


async def test_a_slow_answer_is_a_failure(receiver: Receiver) -> None:
    receiver.delay_s = 30
    sent = await send(receiver.url, client(timeout_s=0.3))
    assert (sent.step, sent.outcome.code) == ("http", "webhook.timeout")
    assert sent.outcome.duration_ms < 20_000


@pytest.mark.parametrize("said", [None, b"HTTP/9 what\r\n\r\n", b"SSH-2.0-x\r\n"])
async def test_what_is_no_answer_is_a_failure(receiver: Receiver, said: bytes | None) -> None:
    receiver.always(said)
    sent = await send(receiver.url, client(timeout_s=2))
    assert sent.step == "http"
    assert sent.outcome.code in ("webhook.not_http", "webhook.timeout")


async def test_of_a_long_answer_the_first_kib_is_kept_and_no_more_than_64_are_read(
    receiver: Receiver,
) -> None:
    receiver.always(answer(200, b"x" * 5_000_000))
    sent = await send(receiver.url)
    assert (sent.outcome.code, sent.answer) == (None, b"x" * 1024)


async def test_nobody_there(receiver: Receiver) -> None:
    sent = await send("http://127.0.0.1:1/")
    assert (sent.step, sent.outcome.code) == ("tcp", "webhook.unreachable")

    async def nothing(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    lost = Client(Network(LOCAL, nothing), 5.0)
    assert (await send("https://hooks.example/", lost)).step == "dns"
    with pytest.raises(Unavailable):  # a name that is not there yet may come: saved all the same
        await lost.check("https://hooks.example/")


async def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await send(receiver.url)).outcome.code is None
        assert not proxy.calls
