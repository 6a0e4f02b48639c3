"""Mosquitto as the hosted broker (`HOSTED_BROKER=mosquitto`): MQTT 5 and 3.1.1 over TCP and WebSocket.

Before each start its dynamic security is written from the REGISTRY. Before the first, a durable session for
ingest is made while no device can connect: what Mosquitto acknowledges without it would be lost.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from deploy.local.ports import LOOPBACK, accepts, free_port
from deploy.local.process import Process, ProcessFailed
from deploy.local.secrets import Secrets

PLUGIN = "mosquitto_dynamic_security.so"
SESSION_CLIENT_ID = "platform-hosted"  # as services.ingest.hosted_mosquitto has it
SESSION_FILTER = "+/devices/#"
SESSION_EXPIRY_S = 7 * 24 * 3600
READY_TIMEOUT_S = 60
INSTALL = """\
HOSTED_BROKER=mosquitto needs Mosquitto 2.0 with its dynamic-security plugin, and it is not installed.
  Debian, Ubuntu:  sudo apt-get install mosquitto && sudo systemctl disable --now mosquitto
  Fedora:          sudo dnf install mosquitto
  macOS:           brew install mosquitto
Then run this again; or leave HOSTED_BROKER out: nats-server is the broker then (MQTT 3.1.1)."""


def find_broker() -> str | None:
    """Debian puts it where an ordinary PATH does not look."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def find_plugin() -> Path | None:
    """The dynamic-security plugin beside the system's libraries."""
    for root in ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib"):
        for found in (*Path(root).glob(PLUGIN), *Path(root).glob(f"*/{PLUGIN}")):
            return found
    return None


def require(say: Callable[[str], None]) -> None:
    """Finds it, installs it where root and apt-get are, or raises ProcessFailed that says how to."""
    if find_broker() and find_plugin():
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("  installing Mosquitto (apt-get)")
        # Its package would start a system service on port 1883: a policy forbids that meanwhile.
        policy = Path("/usr/sbin/policy-rc.d")
        ours = not policy.exists()
        if ours:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        try:
            for step in (["update"], ["install", "-y", "--no-install-recommends", "mosquitto"]):
                subprocess.run(
                    ["apt-get", *step],
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=False,
                )
        finally:
            if ours:
                policy.unlink()
    if not (find_broker() and find_plugin()):
        raise ProcessFailed(INSTALL)


class MosquittoServer:
    """One broker in its own folder; `start` after `kill` goes on with its sessions and retained messages."""

    def __init__(
        self,
        state: Path,
        *,
        mqtt: int,
        websocket: int,
        secrets: Secrets,
        root: Path,
        log: Path,
        registry: Mapping[str, str],
        restore_file: Path,
    ) -> None:
        """`registry`: the environment in which the REGISTRY can be read."""
        self.mqtt, self.websocket = mqtt, websocket
        self.platform_port = free_port()  # the platform's own listener, on loopback
        self._folder = state
        self._restore_file = restore_file
        self.admin_password = secrets.password("mosquitto-admin")
        self._platform = secrets.password("mosquitto-platform")
        self.process = Process(
            "mosquitto", [find_broker() or "mosquitto", "-c", str(self.config_path)], log=log
        )
        self._first = Process(
            "mosquitto first", [find_broker() or "mosquitto", "-c", str(self._first_config)], log=log
        )
        self._loader = Process(
            "dynamic security",
            [sys.executable, "-m", "services.credentials.mosquitto"],
            log=log.with_name("dynamic-security.log"),
            env={
                **os.environ,
                **registry,
                "MOSQUITTO_ADMIN_PASSWORD": self.admin_password,
                "HOSTED_MQTT_PASSWORD": self._platform,
                "MOSQUITTO_CONFIG_FILE": str(self._security),
            },
            cwd=root,
        )

    @property
    def config_path(self) -> Path:
        return self._folder / "mosquitto.conf"

    @property
    def mqtt_url(self) -> str:
        return f"mqtt://{LOOPBACK}:{self.mqtt}"

    @property
    def mqtt_ws_url(self) -> str:
        return f"ws://{LOOPBACK}:{self.websocket}/mqtt"

    def overlay(self, environments: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        """The services' environments with this broker instead of nats-server's listener."""
        own = {
            "credentials": {
                "MOSQUITTO_URL": f"mqtt://{LOOPBACK}:{self.platform_port}",
                "MOSQUITTO_ADMIN_PASSWORD": self.admin_password,
                "MOSQUITTO_RESTORE_FILE": str(self._restore_file),
            },
            "ingest": {
                "HOSTED_MQTT_URL": f"mqtt://{LOOPBACK}:{self.platform_port}",
                "HOSTED_MQTT_USERNAME": "platform",
                "HOSTED_MQTT_PASSWORD": self._platform,
            },
            "gateway": {"PUBLIC_MQTT_URL": self.mqtt_url, "PUBLIC_MQTT_WS_URL": self.mqtt_ws_url},
        }
        return {
            name: {**held, "HOSTED_BROKER": "mosquitto", **own.get(name, {})}
            for name, held in environments.items()
        }

    def relay(self) -> dict[str, str]:
        """Where the TLS relay finds it. Client certificates need nats-server: they stand in for a password."""
        ports = {"RELAY_MQTT_PORT": str(self.mqtt), "RELAY_WS_PORT": str(self.websocket)}
        return {**ports, "TLS_TICKET_KEY": ""}

    def start(self) -> None:
        """Returns when its listeners accept; starting a running one changes nothing."""
        if self.process.running:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._load()
        if not self._has_session():
            self._make_session()
        self.config_path.write_text(self._config(devices=True))
        self.process.start()
        ports = (self.platform_port, self.mqtt, self.websocket)
        self.process.await_ready(lambda: all(map(accepts, ports)), timeout_s=READY_TIMEOUT_S)

    def stop(self) -> None:
        """In order: state is saved."""
        self._loader.stop()
        self._first.stop()
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    @property
    def _security(self) -> Path:
        return self._folder / "dynamic-security.json"

    @property
    def _first_config(self) -> Path:
        return self._folder / "first.conf"

    def _load(self) -> None:
        """The REGISTRY as a file; where it cannot be read, the broker goes on with what it had."""
        self._loader.start()
        if self._loader.wait(READY_TIMEOUT_S) != 0 and not self._security.exists():
            raise ProcessFailed(f"dynamic security cannot be written:\n{self._loader.log_tail()}")

    def _has_session(self) -> bool:
        store = self._folder / "mosquitto.db"
        return store.exists() and SESSION_CLIENT_ID.encode() in store.read_bytes()

    def _make_session(self) -> None:
        self._first_config.write_text(self._config(devices=False))
        self._first.start()
        try:
            self._first.await_ready(lambda: accepts(self.platform_port), timeout_s=READY_TIMEOUT_S)
            self._subscribe()
        finally:
            self._first.stop()
        if not self._has_session():
            raise ProcessFailed("Mosquitto did not keep the session of ingest")

    def _subscribe(self) -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=SESSION_CLIENT_ID, protocol=paho.MQTTv5)
        client.username_pw_set("platform", self._platform)
        granted: list[bool] = []

        def subscribe(*_: object) -> None:
            client.subscribe(SESSION_FILTER, 2)

        client.on_connect = subscribe
        client.on_subscribe = lambda _c, _d, _m, codes, _p: granted.append(not codes[0].is_failure)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        client.connect(LOOPBACK, self.platform_port, clean_start=False, properties=properties)
        client.loop_start()
        try:
            self._first.await_ready(lambda: bool(granted), timeout_s=READY_TIMEOUT_S)
        finally:
            client.disconnect()
            client.loop_stop()
        if not granted[0]:
            raise ProcessFailed("Mosquitto refused the subscription of ingest")

    def _config(self, *, devices: bool) -> str:
        plugin = find_plugin()
        lines = [
            "# Generated by deploy/local/mosquitto.py at every start.",
            *(["user root"] if os.geteuid() == 0 else []),
            "per_listener_settings false",
            "allow_anonymous false",
            "set_tcp_nodelay true",
            "# What is queued survives kill -9: the defaults lose all of it.",
            "persistence true",
            f"persistence_location {self._folder}/",
            "autosave_interval 1",
            "autosave_on_changes true",
            "# The defaults drop silently above 1,000, and hold back what is on its way to ingest at 20.",
            "# 0, no limit, makes 2.0.11 hang up after every forbidden publish.",
            "max_queued_messages 2000000",
            "max_inflight_messages 0",
            "max_packet_size 1048576",
            "# The platform reads who came and went.",
            "log_dest stdout",
            "log_dest topic",
            *(f"log_type {kind}" for kind in ("error", "warning", "notice")),
            f"plugin {plugin}",
            f"plugin_opt_config_file {self._security}",
            f"listener {self.platform_port} {LOOPBACK}",
        ]
        if devices:
            lines += [
                f"listener {self.mqtt} {LOOPBACK}",
                "# Binds every interface, whatever address stands here (2.0.11).",
                f"listener {self.websocket} {LOOPBACK}",
                "protocol websockets",
            ]
        return "\n".join([*lines, ""])
