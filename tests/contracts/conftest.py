"""A nats-server of one account, with MQTT and JetStream, for the contracts that must agree with it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Its NATS address and its MQTT port."""
    directory = tmp_path_factory.mktemp("nats")
    nats_port, mqtt_port = _free_ports(2)
    config = directory / "nats.conf"
    config.write_text(
        f'server_name: contracts\nlisten: "127.0.0.1:{nats_port}"\n'
        f'jetstream {{ store_dir: "{directory}" }}\nmqtt {{ listen: "127.0.0.1:{mqtt_port}" }}\n'
    )
    binary = Path(sys.executable).parent / "nats-server"  # not the PATH's, which may be another version
    process = subprocess.Popen([binary, "-c", config, "-l", directory / "log"])
    try:
        _await_listening(nats_port)
        _await_listening(mqtt_port)
        yield f"nats://127.0.0.1:{nats_port}", mqtt_port
    finally:
        process.terminate()
        process.wait(10)


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def _await_listening(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, f"nothing listens on {port}"
        time.sleep(0.02)  # a process that starts has no event to await
