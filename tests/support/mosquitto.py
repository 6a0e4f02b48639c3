"""A real Mosquitto: the external broker that a customer has."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.ports import LOOPBACK, accepts, free_port
from deploy.local.process import Process
from tests.support.certificates import Certificates


def find_mosquitto() -> str | None:
    """The server's path; Debian puts it where an ordinary PATH does not look."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """One broker in its own folder; what it holds survives `kill`."""

    def __init__(
        self,
        folder: Path,
        *,
        users: Mapping[str, str] | None = None,
        acl: Sequence[str] = (),
        websocket: bool = False,
        certificates: Certificates | None = None,
        client_certificates: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        binary = find_mosquitto()
        if binary is None:
            raise FileNotFoundError("mosquitto is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.websocket_port = free_port() if websocket else None
        self.tls_port = free_port() if certificates else None
        self.wss_port = free_port() if certificates and websocket else None
        config = folder / "mosquitto.conf"
        config.write_text(
            "\n".join(self._config(folder, users, acl, certificates, client_certificates, settings))
        )
        self.process = Process("mosquitto", [binary, "-c", str(config)], log=folder / "mosquitto.log")

    @property
    def url(self) -> str:
        return f"mqtt://{LOOPBACK}:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://{LOOPBACK}:{self.websocket_port}/mqtt"

    @property
    def tls_url(self) -> str:
        return f"mqtts://localhost:{self.tls_port}"

    @property
    def wss_url(self) -> str:
        return f"wss://localhost:{self.wss_port}/mqtt"

    def start(self) -> None:
        """Returns when every listener accepts."""
        self.process.start()
        listeners = (self.port, self.websocket_port, self.tls_port, self.wss_port)
        ports = [port for port in listeners if port]
        self.process.await_ready(lambda: all(map(accepts, ports)), timeout_s=10)

    def stop(self) -> None:
        """In order: state is saved."""
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def _config(
        self,
        folder: Path,
        users: Mapping[str, str] | None,
        acl: Sequence[str],
        certificates: Certificates | None,
        client_certificates: bool,
        settings: Mapping[str, str] | None,
    ) -> list[str]:
        general = {
            "persistence": "true",
            "persistence_location": f"{folder}/",
            # The defaults lose every queued message in a crash.
            "autosave_interval": "1",
            "autosave_on_changes": "true",
            # The default drops silently above 1,000.
            "max_queued_messages": "1000000",
            "allow_anonymous": "false" if users else "true",
            "log_type": "all",
            "log_dest": "stdout",
            **({"user": "root"} if os.geteuid() == 0 else {}),
            **({"password_file": str(_password_file(folder, users))} if users else {}),
            **({"acl_file": str(_acl_file(folder, acl))} if acl else {}),
            **(settings or {}),
        }
        lines = [f"{name} {value}" for name, value in general.items()]
        lines.append(f"listener {self.port} {LOOPBACK}")
        if self.websocket_port:
            lines += [f"listener {self.websocket_port}", "protocol websockets"]
        encrypted = {f"{self.tls_port} {LOOPBACK}": "mqtt"} if certificates else {}
        if self.wss_port:
            encrypted[f"{self.wss_port}"] = "websockets"
        for listener, kind in encrypted.items():
            assert certificates
            lines += [
                f"listener {listener}",
                f"protocol {kind}",
                f"cafile {certificates.authority}",
                f"certfile {certificates.server}",
                f"keyfile {certificates.server_key}",
                f"require_certificate {'true' if client_certificates else 'false'}",
            ]
        return [*lines, ""]


def _password_file(folder: Path, users: Mapping[str, str]) -> Path:
    path = folder / "passwords"
    path.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
    # Hashes the whole file in place.
    subprocess.run(["mosquitto_passwd", "-U", str(path)], check=True, capture_output=True)
    return path


def _acl_file(folder: Path, lines: Sequence[str]) -> Path:
    path = folder / "acl"
    path.write_text("\n".join([*lines, ""]))
    return path
