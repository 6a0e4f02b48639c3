"""Exports through the whole platform: memory that does not grow with the file, and the way on after a break."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import pytest
from pyarrow import parquet

from deploy.local.stack import Stack
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant

pytestmark = pytest.mark.system
READINGS = 240_000  # some 35 MB of CSV
GROWTH_MAX = 20 * 1024  # KiB: two pages and what is being sent, not half of the file
PARQUET_GROWTH_MAX = 200 * 1024  # KiB: pyarrow itself is most of it

_FILL = """
WITH org AS (SELECT id FROM organizations WHERE name = $1), device AS (
    SELECT d.id FROM devices d JOIN org ON d.organization = org.id
), met AS (SELECT array_agg(m.id ORDER BY m.name) AS ids FROM metrics m JOIN org ON m.organization = org.id)
INSERT INTO samples (time, sequence, organization, device, epoch, position, flags, source, topic, metrics, numbers)
SELECT timestamptz '2026-03-01 00:00Z' + n * interval '100 ms', n, org.id, device.id, 1, 0, 0, 'hosted',
    'org_0123456789abcdef/devices/d1/telemetry', met.ids, ARRAY[n, sin(n), cos(n)]
FROM org, device, met, generate_series(1, $2::int) n
"""


async def _filled(stack: Stack, tenant: Tenant, samples: int) -> None:
    """Rows as the projection writes them, quicker than messages would make them."""
    database = await asyncpg.connect(stack.addresses.database)
    try:
        await database.execute("SELECT hybridmq_ensure_day('samples', '2026-03-01')")
        await database.execute(_FILL, tenant.id, samples)
    finally:
        await database.close()


def _reset_peak(pid: int) -> int:
    """KiB in use now; proc(5): writing 5 sets the peak back to it."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _peak(pid)


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.fixture(scope="module", autouse=True)
def filled(stack: Stack, tenant: Tenant) -> None:
    sent = tenant.http.post(
        "/v1/ingest",
        json={
            "topic": "devices/d1/telemetry",
            "payload": {"ts": "2026-02-28T00:00:00Z", "a": 1, "b": 2, "c": 3},
        },
    )
    assert sent.status_code == 202, sent.text
    eventually_now(lambda: len(tenant.get("/telemetry")["items"]) == 1)
    asyncio.run(_filled(stack, tenant, READINGS // 3))


@pytest.mark.parametrize("format", ["csv", "ndjson", "parquet"])
def test_memory_does_not_grow_with_the_file(
    stack: Stack, tenant: Tenant, format: str, tmp_path: Path
) -> None:
    pids = {name: stack.processes[name].pid for name in ("gateway", "telemetry")}
    before = {name: _reset_peak(pid) for name, pid in pids.items()}
    file = tmp_path / f"export.{format}"
    with (
        tenant.http.stream(
            "GET",
            f"/v1/telemetry/export?format={format}",
            headers={"Accept-Encoding": "identity"},
            timeout=60,
        ) as export,
        file.open("wb") as out,
    ):
        assert export.status_code == 200
        for chunk in export.iter_bytes():
            out.write(chunk)
    growth = {name: _peak(pid) - before[name] for name, pid in pids.items()}
    most = PARQUET_GROWTH_MAX if format == "parquet" else GROWTH_MAX
    assert growth["gateway"] < most, growth
    assert growth["telemetry"] < GROWTH_MAX, growth
    if format == "parquet":
        assert parquet.ParquetFile(io.BytesIO(file.read_bytes())).metadata.num_rows == READINGS + 3
    else:
        assert file.read_bytes().count(b"\n") == READINGS + 3 + (format == "csv")
        assert file.stat().st_size > 1.5 * GROWTH_MAX * 1024


def test_an_export_that_broke_off_goes_on_without_a_gap_or_a_double(stack: Stack, tenant: Tenant) -> None:
    lines: list[bytes] = []
    parameters = {"format": "ndjson", "device_id": "d1", "to": "2026-03-02T00:00:00Z"}
    for part in range(4):
        rest = b""
        with tenant.http.stream("GET", "/v1/telemetry/export", params=parameters, timeout=60) as export:
            assert export.status_code == 200
            for chunk in export.iter_bytes():
                *whole, rest = (rest + chunk).split(b"\n")
                lines += whole
                if part < 3 and len(lines) > (part + 1) * 24_000:
                    break  # somewhere within a line
        parameters["cursor"] = json.loads(lines[-1])["cursor"]
    found = [json.loads(line) for line in lines]
    assert len(found) == READINGS + 3
    assert len({row["cursor"] for row in found}) == len(found)
    assert [row["sequence"] for row in found[3:]] == sorted(row["sequence"] for row in found[3:])


def test_nobody_exports_what_another_organization_has(
    tenant: Tenant, new_tenant: Callable[[str], Tenant]
) -> None:
    other = new_tenant("Stranger")
    cursor = _first_line(tenant)["cursor"]
    stray = other.http.get(f"/v1/telemetry/export?format=ndjson&cursor={cursor}")
    assert (stray.status_code, stray.json()["code"]) == (400, "cursor.invalid")
    assert other.http.get("/v1/telemetry/export?format=ndjson").content == b""
    answer = other.http.get("/v1/telemetry/export?format=ndjson&device_id=d1")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    activity = other.http.get("/v1/activity/export?format=ndjson")
    assert tenant.id not in activity.text


def _first_line(tenant: Tenant) -> dict[str, str]:
    with tenant.http.stream("GET", "/v1/telemetry/export?format=ndjson", timeout=httpx.Timeout(30)) as export:
        line: dict[str, str] = json.loads(next(export.iter_lines()))
        return line
