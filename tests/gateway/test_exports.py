"""Exports over HTTP: whole or recognisably not, at the client's pace, a few at a time."""

from __future__ import annotations

import asyncio
import gzip
import io
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pyarrow import parquet

from contracts import exports
from contracts.exports import EXPORT_ACTIVITY, EXPORT_READINGS, ExportActivity, ExportPage, ExportReadings
from contracts.failures import Refused, Unavailable
from contracts.organizations import Principal
from contracts.secrets_format import mint
from deploy.local.nats import NatsServer
from services.gateway.parquet import Parquet
from tests.gateway.peers import ALPHA, BETA, Peers, bearer
from tests.gateway.problem_assertions import assert_problem
from tests.gateway.test_stream import publish_revocation
from tests.support.clients import http_client, platform_client
from tests.support.eventually import eventually
from tests.support.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")
URL = "/v1/telemetry/export"
PATIENCE_S = 1.5


@pytest.fixture(scope="module")
def gateway(provisioned_nats: NatsServer, run_service: Callable[..., Service]) -> Service:
    patience = {"EXPORT_PATIENCE_S": str(PATIENCE_S), "EXPORT_SEND_S": str(PATIENCE_S)}
    return run_service("gateway", provisioned_nats, **patience)


def pages(*bodies: bytes, fails_at: int | None = None) -> Callable[[Any], Awaitable[Any]]:
    """An answerer: a page each, then none."""

    async def answer(request: ExportReadings | ExportActivity) -> tuple[ExportPage, bytes]:
        at = int(request.position or 0)
        if at == fails_at:
            raise Unavailable("store.unavailable", "the database does not answer")
        if at == len(bodies):
            return ExportPage(position=None, rows=1000), b""
        return ExportPage(position=str(at + 1), rows=1000 + at), bodies[at]

    return answer


async def test_each_parameter_reaches_the_question(alpha: httpx.AsyncClient, peers: Peers) -> None:
    before = datetime.now(UTC)
    query = "format=ndjson&shape=wide&device_id=a&device_id=b&metric=t&integration_id=hosted&cursor=1.2.3.4"
    answer = await alpha.get(f"{URL}?{query}&from=2026-03-01T10:00:00Z")
    assert answer.status_code == 200, answer.text
    asked = peers.last(ExportReadings)
    assert (asked.organization, asked.format, asked.shape, asked.first) == (ALPHA, "ndjson", "wide", True)
    assert (asked.device_id, asked.metric, asked.integration_id) == (("a", "b"), ("t",), ("hosted",))
    assert (asked.position, asked.from_) == ("1.2.3.4", datetime(2026, 3, 1, 10, tzinfo=UTC))
    assert asked.to >= before, "an export of what is live comes to an end"
    assert (await alpha.get("/v1/activity/export?format=csv&kind=link.down&status=failed")).status_code == 200
    activity = peers.last(ExportActivity)
    assert (activity.wanted.organization, activity.wanted.kind, activity.wanted.status) == (
        ALPHA, ("link.down",), "failed",
    )  # fmt: skip


async def test_the_operator_names_the_organization_in_a_link(
    operator: httpx.AsyncClient, alpha: httpx.AsyncClient, peers: Peers
) -> None:
    for file, asked in ((URL, ExportReadings), ("/v1/activity/export", ExportActivity)):
        assert (await operator.get(f"{file}?format=csv&organization={ALPHA}")).status_code == 200
        wanted = peers.last(asked)
        assert (wanted.wanted if isinstance(wanted, ExportActivity) else wanted).organization == ALPHA
        assert_problem(await operator.get(f"{file}?format=csv"), "scope.missing")
        assert_problem(await operator.get(f"{file}?format=csv&organization=org_short"), "scope.missing")
        other = await operator.get(
            f"{file}?format=csv&organization={ALPHA}", headers={"X-Organization": BETA}
        )
        assert_problem(other, "request.invalid", "organization")
        for named in (ALPHA, BETA):
            assert_problem(await alpha.get(f"{file}?format=csv&organization={named}"), "scope.missing")
    unread = await operator.get(f"/v1/credentials?organization={ALPHA}")
    assert_problem(unread, "scope.missing")


async def test_pages_become_one_file(alpha: httpx.AsyncClient, peers: Peers) -> None:
    peers.answers[EXPORT_READINGS.subject] = pages(b"a\r\n", b"", b"b\r\n")
    answer = await alpha.get(f"{URL}?format=csv")
    assert answer.text == ",".join(exports.READING_COLUMNS) + "\r\na\r\nb\r\n"
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"].startswith('attachment; filename="telemetry-')
    assert answer.headers["content-disposition"].endswith('Z.csv"')
    asked = [each for each in peers.asked if isinstance(each, ExportReadings)]
    assert [(each.position, each.rows, each.first) for each in asked] == [
        (None, 1000, True), ("1", 1000, False), ("2", 1001, False), ("3", 1002, False),
    ]  # fmt: skip
    assert len({each.to for each in asked}) == 1


async def test_an_empty_export_has_its_columns(alpha: httpx.AsyncClient, peers: Peers) -> None:
    assert (await alpha.get(f"{URL}?format=ndjson")).content == b""
    assert (await alpha.get(f"{URL}?format=csv")).text == ",".join(exports.READING_COLUMNS) + "\r\n"
    wide = await alpha.get(f"{URL}?format=csv&shape=wide&metric=%3Da&metric=b,c")
    assert wide.text == ",".join((*exports.SAMPLE_COLUMNS, 'metrics.=a,"metrics.b,c",cursor\r\n'))
    activity = await alpha.get("/v1/activity/export?format=csv")
    assert activity.text == ",".join(exports.ACTIVITY_COLUMNS) + "\r\n"
    empty = await alpha.get(f"{URL}?format=parquet")
    assert parquet.read_table(io.BytesIO(empty.content)).num_rows == 0


async def test_gzip_where_it_is_taken(alpha: httpx.AsyncClient, peers: Peers) -> None:
    peers.answers[EXPORT_READINGS.subject] = pages(*(b'{"n":1}\n' * 10_000 for _ in range(3)))
    plain = await alpha.get(f"{URL}?format=ndjson", headers={"Accept-Encoding": "br, gzip;q=0"})
    assert "content-encoding" not in plain.headers
    async with alpha.stream("GET", f"{URL}?format=ndjson", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "accept-encoding"
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 20


LINES = (
    b'2026-11-01T00:00:00.000001Z,"d1","t",21.5,,"C","hosted","a/b",false,7,1.7.1.0.1\r\n'
    b'2026-11-01T00:00:00.000002Z,"d1","=s",,"two\r\nlines, ""so""",,"hosted","a/b",true,8,2.8.1.0.1\r\n'
    b'2026-11-01T00:00:00.000003Z,"d1","e",,"",,"hosted","a/b",true,9,3.9.1.0.1\r\n'
)


async def test_parquet_has_types_and_what_was_said(alpha: httpx.AsyncClient, peers: Peers) -> None:
    peers.answers[EXPORT_READINGS.subject] = pages(LINES, LINES)
    answer = await alpha.get(f"{URL}?format=parquet")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    table = parquet.read_table(io.BytesIO(answer.content))
    assert table.column_names == list(exports.PARQUET_COLUMNS)
    found = table.to_pylist()
    assert len(found) == 6
    assert found[0]["timestamp"] == datetime(2026, 11, 1, 0, 0, 0, 1, tzinfo=UTC)
    assert [(row["metric"], row["number"], row["text"], row["unit"]) for row in found[:3]] == [
        ("t", 21.5, None, "C"), ("=s", None, 'two\r\nlines, "so"', None), ("e", None, "", None),
    ]  # fmt: skip
    assert [row["time_replaced"] for row in found[:3]] == [False, True, True]


async def test_parquet_is_written_in_groups_while_it_is_read() -> None:
    writer, page = Parquet(), LINES * 3000
    made = [await writer.add(page) for _ in range(40)]
    made.append(await writer.finish())
    assert sum(bool(part) for part in made) >= 3, "nothing is sent before the end"
    file = parquet.ParquetFile(io.BytesIO(b"".join(made)))
    assert file.metadata.num_rows == 3 * 3000 * 40
    assert file.read(columns=["sequence"]).column("sequence").to_pylist() == [7, 8, 9] * 3000 * 40
    assert file.metadata.num_row_groups >= 3


async def test_without_pyarrow_parquet_names_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(Unavailable) as failure:
        Parquet()
    assert failure.value.code == "format.unavailable"
    assert failure.value.meaning.status == 501
    assert "install" in failure.value.detail


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "format"),
        ("format=xlsx", "format"),
        ("format=csv&shape=round", "shape"),
        ("format=csv&shape=wide", "metric"),
        ("format=parquet&shape=wide&metric=t", "shape"),
        ("format=csv&from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "from"),
        ("format=csv&from=yesterday", "from"),
        ("format=csv&limit=5", "limit"),
        (f"format=csv&cursor={'1' * 97}", "cursor"),
        ("format=csv&" + "&".join(f"device_id=d{n}" for n in range(101)), "device_id"),
    ],
)
async def test_what_is_wrong_is_named(alpha: httpx.AsyncClient, peers: Peers, query: str, field: str) -> None:
    assert_problem(await alpha.get(f"{URL}?{query}"), "request.invalid", field)
    assert not peers.count(ExportReadings)
    if not query.startswith("format=parquet"):
        return
    assert_problem(await alpha.get("/v1/activity/export?format=parquet"), "request.invalid", "format")


@pytest.mark.parametrize(
    "failure", [Refused("not_found"), Refused("cursor.invalid"), Unavailable("store.unavailable")]
)
async def test_what_fails_at_once_is_a_problem_and_keeps_no_place(
    alpha: httpx.AsyncClient, peers: Peers, failure: Exception
) -> None:
    peers.refuse(EXPORT_READINGS, failure)
    for _ in range(4):
        assert_problem(await alpha.get(f"{URL}?format=csv"), failure.code)  # type: ignore[attr-defined]


async def test_head_sends_no_page_and_keeps_no_place(alpha: httpx.AsyncClient, peers: Peers) -> None:
    peers.answers[EXPORT_READINGS.subject] = pages(b"a\r\n")
    for _ in range(4):
        answer = await alpha.head(f"{URL}?format=csv")
        assert (answer.status_code, answer.content) == (200, b"")


async def test_telemetry_may_be_away_for_a_moment(alpha: httpx.AsyncClient, peers: Peers) -> None:
    failures = 2

    async def answer(request: ExportReadings) -> tuple[ExportPage, bytes]:
        nonlocal failures
        if request.position and failures:
            failures -= 1
            raise Unavailable("store.unavailable", "away")
        page: tuple[ExportPage, bytes] = await pages(b"a\n", b"b\n")(request)
        return page

    peers.answers[EXPORT_READINGS.subject] = answer
    assert (await alpha.get(f"{URL}?format=ndjson")).text == "a\nb\n"


@pytest.mark.parametrize(
    ("format", "encoding"), [("csv", "identity"), ("ndjson", "gzip"), ("parquet", "identity")]
)
async def test_what_breaks_on_the_way_is_never_taken_for_the_whole(
    alpha: httpx.AsyncClient, peers: Peers, format: str, encoding: str
) -> None:
    peers.answers[EXPORT_READINGS.subject] = pages(LINES, fails_at=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await alpha.get(f"{URL}?format={format}", headers={"Accept-Encoding": encoding})
    peers.answers[EXPORT_READINGS.subject] = pages(LINES)
    for _ in range(3):  # its place is free again
        assert (await alpha.get(f"{URL}?format={format}")).status_code == 200


async def test_a_third_export_of_an_organization_waits_its_turn(
    alpha: httpx.AsyncClient, beta: httpx.AsyncClient, peers: Peers
) -> None:
    go_on = asyncio.Event()

    async def answer(request: ExportReadings) -> tuple[ExportPage, bytes]:
        if request.position:
            await go_on.wait()
            return ExportPage(position=None, rows=1), b""
        return ExportPage(position="1", rows=1), b"a\n"

    peers.answers[EXPORT_READINGS.subject] = answer
    under_way = [asyncio.create_task(alpha.get(f"{URL}?format=ndjson")) for _ in range(2)]
    await eventually(lambda: _true(peers.count(ExportReadings) >= 4))
    refused = await alpha.get("/v1/activity/export?format=ndjson")
    assert_problem(refused, "limit.reached")
    assert refused.headers["retry-after"] == "30"
    others = asyncio.create_task(beta.get(f"{URL}?format=ndjson"))
    go_on.set()
    assert [each.text for each in await asyncio.gather(*under_way, others)] == ["a\n"] * 3
    assert (await alpha.get(f"{URL}?format=ndjson")).status_code == 200


async def _true(value: bool) -> bool:
    return value


ENDLESS = b'{"n":1}\n' * 60_000


async def endless(request: ExportReadings) -> tuple[ExportPage, bytes]:
    return ExportPage(position=str(int(request.position or 0) + 1), rows=1), ENDLESS


async def test_a_client_that_takes_nothing_is_waited_for_and_then_cut_off(
    alpha: httpx.AsyncClient, gateway: Service, peers: Peers
) -> None:
    peers.answers[EXPORT_READINGS.subject] = endless
    with Silent(gateway, alpha.headers["authorization"]):
        await eventually(lambda: _true(peers.count(ExportReadings) >= 2))
        await asyncio.sleep(PATIENCE_S / 2)
        asked = peers.count(ExportReadings)
        assert asked < 30, "what nobody takes is not asked for"
        began = asyncio.get_running_loop().time()
        await alpha.get("/v1/devices")
        assert asyncio.get_running_loop().time() - began < 5, "others are served meanwhile"
        peers.answers[EXPORT_READINGS.subject] = pages(b"a\n")
        other = await alpha.get(f"{URL}?format=ndjson")
        assert other.text == "a\n"
        peers.answers[EXPORT_READINGS.subject] = endless
        await _free(alpha, peers)


async def test_a_client_that_leaves_is_not_read_for(
    alpha: httpx.AsyncClient, gateway: Service, peers: Peers
) -> None:
    peers.answers[EXPORT_READINGS.subject] = endless
    with Silent(gateway, alpha.headers["authorization"]):
        await eventually(lambda: _true(peers.count(ExportReadings) >= 2))
    await _free(alpha, peers)
    await asyncio.sleep(0.5)
    asked = peers.count(ExportReadings)
    await asyncio.sleep(0.5)
    assert peers.count(ExportReadings) == asked


async def _free(alpha: httpx.AsyncClient, peers: Peers) -> None:
    """Returns when both places are free."""

    async def both() -> bool:
        slow, go_on = [], asyncio.Event()

        async def answer(request: ExportReadings) -> tuple[ExportPage, bytes]:
            await go_on.wait()
            return ExportPage(position=None, rows=1), b""

        peers.answers[EXPORT_READINGS.subject] = answer
        slow = [asyncio.create_task(alpha.get(f"{URL}?format=ndjson")) for _ in range(2)]
        await asyncio.sleep(0.2)
        go_on.set()
        return [each.status_code for each in await asyncio.gather(*slow)] == [200, 200]

    await eventually(both)


class Silent:
    """A connection that asks and reads nothing."""

    def __init__(self, gateway: Service, authorization: str) -> None:
        url = httpx.URL(gateway.url)
        self._socket = socket.create_connection((url.host, url.port or 80))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lines = [f"GET {URL}?format=ndjson HTTP/1.1", f"Host: {url.host}", f"Authorization: {authorization}"]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._socket.close()


async def test_a_revoked_key_ends_its_export(
    gateway: Service, peers: Peers, provisioned_nats: NatsServer
) -> None:
    secret = mint("key")
    peers.principals[secret] = Principal(organization=ALPHA, actor="key:key_export", scopes=("read",))

    async def answer(request: ExportReadings) -> tuple[ExportPage, bytes]:
        await asyncio.sleep(0.01)
        return ExportPage(position=str(int(request.position or 0) + 1), rows=1), b'{"n":1}\n'

    peers.answers[EXPORT_READINGS.subject] = answer
    uncompressed = {**bearer(secret), "Accept-Encoding": "identity"}  # so that each page comes at once
    async with (
        platform_client(provisioned_nats, "credentials") as registry,
        http_client(gateway.url, timeout=30) as client,
        client.stream("GET", f"{URL}?format=ndjson", headers=uncompressed) as export,
    ):
        taken: AsyncIterator[str] = export.aiter_lines()
        assert await anext(taken) == '{"n":1}'
        del peers.principals[secret]
        await publish_revocation(registry, "key_export")
        with pytest.raises(httpx.RemoteProtocolError):
            async for _ in taken:
                pass


async def test_activity_is_exported_the_same_way(alpha: httpx.AsyncClient, peers: Peers) -> None:
    peers.answers[EXPORT_ACTIVITY.subject] = pages(b'{"kind":"a"}\n', b'{"kind":"b"}\n')
    answer = await alpha.get("/v1/activity/export?format=ndjson")
    assert answer.text == '{"kind":"a"}\n{"kind":"b"}\n'
    assert answer.headers["content-type"] == "application/x-ndjson"
