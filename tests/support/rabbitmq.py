"""A real RabbitMQ with its MQTT plugin, which asks over HTTP who may do what."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from deploy.local.ports import LOOPBACK, accepts, free_port
from deploy.local.process import Process

READY_TIMEOUT_S = 60
"""A quiet machine needs ten seconds."""


def find_rabbitmq() -> str | None:
    """The server's own script: Debian's wrapper insists on its user and folders."""
    found = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    return str(found[-1]) if found and shutil.which("epmd") else None


class RabbitMq:
    """One node in its own folder, with a name, ports and a port mapper (epmd) of its own."""

    def __init__(self, folder: Path, auth_url: str) -> None:
        binary, mapper = find_rabbitmq(), shutil.which("epmd")
        if binary is None or mapper is None:
            raise FileNotFoundError("rabbitmq-server is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        (folder / "rabbitmq.conf").write_text(
            "\n".join(
                (
                    "listeners.tcp = none",
                    f"mqtt.listeners.tcp.1 = {LOOPBACK}:{self.port}",
                    "mqtt.allow_anonymous = false",
                    "auth_backends.1 = http",
                    "auth_http.http_method = post",
                    *(
                        f"auth_http.{each}_path = {auth_url}/{each}"
                        for each in ("user", "vhost", "resource", "topic")
                    ),
                    "",
                )
            )
        )
        (folder / "plugins").write_text("[rabbitmq_mqtt,rabbitmq_auth_backend_http].\n")
        mapper_port = str(free_port())
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),  # of the Erlang cookie
            "RABBITMQ_NODENAME": f"test{secrets.token_hex(4)}@localhost",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": mapper_port,
            "ERL_EPMD_ADDRESS": LOOPBACK,
        }
        self._mapper_port = int(mapper_port)
        self._mapper = Process(
            "epmd", [mapper, "-port", mapper_port, "-address", LOOPBACK], log=folder / "epmd.log"
        )
        self.process = Process(
            "rabbitmq", [binary], log=folder / "rabbitmq.log", env=env, orphan_signal="TERM"
        )

    def start(self) -> None:
        """Returns when the MQTT listener accepts."""
        self._mapper.start()
        self._mapper.await_ready(lambda: accepts(self._mapper_port), timeout_s=10)
        self.process.start()
        self.process.await_ready(lambda: accepts(self.port), timeout_s=READY_TIMEOUT_S)

    def stop(self) -> None:
        """Both, in order."""
        self.process.stop(timeout_s=20)
        self._mapper.stop()
