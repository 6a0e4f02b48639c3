"""PGSSLMODE and PGSSLROOTCERT, as the manifests set them, hold for every way in which PostgreSQL is spoken to.

The wheel's PostgreSQL has no TLS: here a listener shakes hands as PostgreSQL does (SSLRequest, `S`, TLS), and tells
whether it was trusted with the first message behind it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local.ports import LOOPBACK
from services.telemetry import database, migrate
from services.telemetry.database import AWAY
from tests.support.certificates import Certificates, make_certificates
from tests.support.eventually import eventually

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
CLEAR = b"in the clear"


@asynccontextmanager
async def listening(certificates: Certificates) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A URL of it, and what it was told, behind TLS or instead of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    told: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):  # whoever does not trust us hangs up
            if await reader.readexactly(8) != SSL_REQUEST:
                told.append(CLEAR)
                return
            writer.write(b"S")
            await writer.start_tls(context)
            told.append(await reader.read(1024))
        writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql+asyncpg://user:password@{LOOPBACK}:{port}/hybridmq", told


async def by_pool(url: str) -> None:
    pool = await database.connect(url)
    try:
        await pool.fetchval("SELECT 1")
    finally:
        pool.terminate()


async def by_engine(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


WAYS = pytest.mark.parametrize("way", [by_pool, by_engine, migrate.migrate])


@WAYS
async def test_a_server_of_our_authority_is_told_who_we_are_behind_tls(
    way: Callable[[str], Awaitable[None]], certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", str(certificates.authority))
    async with listening(certificates) as (url, told):
        with pytest.raises((*AWAY, SQLAlchemyError)):  # it is no PostgreSQL
            await way(url)
        await eventually(lambda: told)
        assert b"user\0user\0" in told[0]


@WAYS
async def test_a_server_of_another_authority_is_told_nothing(
    way: Callable[[str], Awaitable[None]],
    certificates: Certificates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", str(make_certificates(tmp_path).authority))
    async with listening(certificates) as (url, told):
        with pytest.raises(ssl.SSLCertVerificationError):
            await way(url)
        assert told in ([], [b""])
