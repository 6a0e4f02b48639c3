"""Migrations beside a running service: several at once wait for each other; none takes away what is still in use."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from deploy.local import environment
from deploy.local.postgres import DatabaseUrls
from deploy.local.stack import ROOT
from services.telemetry import migrate

REVISIONS = sorted((Path(migrate.__file__).parent / "migrations" / "versions").glob("[0-9]*.py"))
TAKES_AWAY = re.compile(
    r"\bDROP\s+(TABLE|COLUMN)\s+(?!.*%I)|\bRENAME\b|\bALTER\s+COLUMN\s+\w+\s+(TYPE|SET\s+NOT\s+NULL)"
    r"|drop_table|drop_column|alter_column",
    re.IGNORECASE,
)
BEFORE_THE_FIRST_RELEASE = {"0002", "0003", "0004"}
"""Nobody ran what these took away."""


def test_two_migrations_at_once_lead_to_one_schema(empty_database: DatabaseUrls) -> None:
    command = [sys.executable, "-m", "services.telemetry.migrate"]
    env = {**os.environ, **environment.migrate(empty_database)}
    running = [
        subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=120)[0].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said


def test_the_version_before_leaves_a_newer_schema_as_it_is(empty_database: DatabaseUrls) -> None:
    """Who goes back applies the older version's Job again."""
    command = [sys.executable, "-m", "services.telemetry.migrate"]
    env = {**os.environ, **environment.migrate(empty_database)}
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, timeout=120)
    asyncio.run(_become(empty_database, "9999_of_tomorrow"))
    again = subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert b"newer version" in again.stdout
    assert asyncio.run(_become(empty_database, "9999_of_tomorrow")) == "9999_of_tomorrow"


async def _become(database: DatabaseUrls, revision: str) -> str:
    """What a newer version would have left; answers what was there."""
    connection = await asyncpg.connect(database.owner.replace("+asyncpg", ""))
    try:
        held = await connection.fetchval("SELECT version_num FROM public.alembic_version")
        await connection.execute("UPDATE public.alembic_version SET version_num = $1", revision)
    finally:
        await connection.close()
    return str(held)


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda path: path.stem)
def test_a_migration_only_adds_or_says_that_it_contracts(revision: Path) -> None:
    text = revision.read_text().partition("def downgrade")[0]
    if revision.stem[:4] in BEFORE_THE_FIRST_RELEASE or "Contracts:" in text:
        return  # in a release of its own, after one that no longer uses it (docs/guides/upgrades.md)
    assert not TAKES_AWAY.search(text), "expand first: the version before still runs on this schema"
