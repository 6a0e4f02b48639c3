"""A nats-server of our own: keys, configuration, start and stop."""

import json
import shutil
import signal
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from contracts.permissions import DEVICES_USERS, PLATFORM_USERS, SYS_USERS, Permissions
from deploy.local.nats_config import Cluster, NatsConfig, NatsPorts, ServerTls, render
from deploy.local.ports import LOOPBACK, accepts
from deploy.local.process import Process
from deploy.local.secrets import Secrets, public_key, write_private

DEVICES_MQTT_USER = "platform"
"""The device account's static user that speaks MQTT: publishes out, calls `$MQTT_msgs` into being."""

READY_TIMEOUT_S = 60
"""After a crash the server first reads its streams back; seconds for gigabytes."""

STORE_BYTES_MAX = 64 * 1024**3
"""A local installation needs no more; the free disk usually says less."""


@dataclass(frozen=True)
class NatsSeeds:
    """Seeds by user, and the platform's MQTT password."""

    platform: dict[str, str]
    sys: dict[str, str]
    devices: dict[str, str]
    mqtt_password: str
    callout_issuer: str


class NatsServer:
    """One server in its own folder; `start` after `kill` recovers its streams."""

    def __init__(
        self,
        state: Path,
        ports: NatsPorts,
        secrets: Secrets,
        *,
        log: Path | None = None,
        durable: bool = False,
        tls: tuple[Path, Path] | None = None,
        name: str = "hybridmq",
        cluster: Cluster | None = None,
        server_tls: ServerTls | None = None,
    ) -> None:
        self.ports = ports
        self.name, self._cluster, self._server_tls = name, cluster, server_tls
        self._tls = tls
        self._folder = state
        self._store = state / "jetstream"
        self._durable = durable
        self.seeds = NatsSeeds(
            platform={name: secrets.user_seed(f"nats-platform-{name}") for name in PLATFORM_USERS},
            sys={name: secrets.user_seed(f"nats-sys-{name}") for name in SYS_USERS},
            devices={
                name: secrets.user_seed(f"nats-devices-{name}")
                for name in DEVICES_USERS
                if name != DEVICES_MQTT_USER
            },
            mqtt_password=secrets.password(f"nats-devices-{DEVICES_MQTT_USER}"),
            callout_issuer=secrets.account_seed("nats-callout-issuer"),
        )
        self.process = Process(
            "nats",
            [str(binary()), "--config", str(self.config_path)],
            log=log or state / "nats.log",
            orphan_signal="TERM",
        )

    @property
    def config_path(self) -> Path:
        return self._folder / "nats.conf"

    @property
    def url(self) -> str:
        return f"{'tls' if self._server_tls else 'nats'}://{LOOPBACK}:{self.ports.client}"

    @property
    def mqtt_url(self) -> str:
        return f"{'mqtts' if self._server_tls else 'mqtt'}://{LOOPBACK}:{self.ports.mqtt}"

    @property
    def mqtt_ws_url(self) -> str:
        return f"{'wss' if self._server_tls else 'ws'}://{LOOPBACK}:{self.ports.websocket}/mqtt"

    @cached_property
    def storage_bytes(self) -> int:
        """What all streams together may take: measured once, so that the server and its streams agree."""
        return store_limit(self._store)

    def start(self) -> None:
        """Returns when the server answers, JetStream included; starting a running one changes nothing."""
        if not self.process.running:
            self.begin()
            self.await_ready()

    def begin(self) -> None:
        """Starts the process; a server of a cluster is ready only when most of the others run."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_private(self.config_path, render(self._config()))
        self.process.start()

    def await_ready(self) -> None:
        """Returns when the server answers, JetStream included."""
        self.process.await_ready(self._ready, timeout_s=READY_TIMEOUT_S)

    def stop(self) -> None:
        """Lets clients go and flushes the stores."""
        self.process.stop(timeout_s=20)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def pause(self) -> None:
        """SIGSTOP: a hung peer."""
        self.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.signal(signal.SIGCONT)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://{LOOPBACK}:{self.ports.monitor}/healthz", timeout=2
            ) as answer:
                healthy = json.load(answer).get("status") == "ok"
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False  # not listening yet, or still reading its streams
        return healthy and accepts(self.ports.mqtt) and accepts(self.ports.websocket)

    def _config(self) -> NatsConfig:
        devices = {name: held for name, held in DEVICES_USERS.items() if name != DEVICES_MQTT_USER}
        return NatsConfig(
            server_name=self.name,
            store=self._store,
            ports=self.ports,
            max_file_store=self.storage_bytes,
            platform_users=_by_key(self.seeds.platform, PLATFORM_USERS),
            sys_users=_by_key(self.seeds.sys, SYS_USERS),
            devices_users=_by_key(self.seeds.devices, devices),
            devices_passwords={
                DEVICES_MQTT_USER: (self.seeds.mqtt_password, DEVICES_USERS[DEVICES_MQTT_USER])
            },
            callout_issuer=public_key(self.seeds.callout_issuer),
            sync_interval="always" if self._durable else "120s",
            tls=self._tls,
            server_tls=self._server_tls,
            cluster=self._cluster,
        )


def binary() -> Path:
    """The virtual environment's server: one on the PATH may be years older."""
    return Path(sys.executable).parent / "nats-server"


def store_limit(store: Path) -> int:
    """Nine tenths of what the streams have and may still take from the disk."""
    store.mkdir(parents=True, exist_ok=True)
    used = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    return min(STORE_BYTES_MAX, (used + shutil.disk_usage(store).free) * 9 // 10)


def _by_key(seeds: dict[str, str], users: dict[str, Permissions]) -> dict[str, Permissions]:
    return {public_key(seeds[name]): permissions for name, permissions in users.items()}
