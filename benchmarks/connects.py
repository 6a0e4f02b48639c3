"""A storm of MQTT connects over raw sockets, cheap enough to share a machine with what it measures.

Run as `python -m benchmarks.connects '<settings as JSON>'`; it prints its Report as one JSON line.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

from tests.support.mqtt_wire import packet, text

ACCEPTED = b"\x20\x02\x00\x00"
ACCEPTED_AGAIN = b"\x20\x02\x01\x00"  # to a session that is there
DISCONNECT = b"\xe0\x00"
TIMEOUT_S = 10.0
CLEAN_SESSION = 0x02


@dataclass(frozen=True)
class Login:
    client_id: str
    username: str
    password: str


@dataclass(frozen=True)
class Storm:
    """One process's work: `at_once` connects under way, each connected, greeted and left again."""

    host: str
    port: int
    logins: str  # a file of [client id, user name, password] in JSON lines
    at_once: int
    seconds: float
    clean: bool = True


@dataclass(frozen=True)
class Report:
    accepted: int
    refused: int  # answered with no
    broken: int  # not answered
    seconds: float
    cpu_seconds: float
    milliseconds: list[float]  # from the TCP connect to the CONNACK


def connect_packet(login: Login, *, clean: bool = True, keepalive_s: int = 60) -> bytes:
    flags = 0xC0 | (CLEAN_SESSION if clean else 0)
    body = text("MQTT") + bytes([4, flags]) + keepalive_s.to_bytes(2, "big")
    return packet(0x10, body + text(login.client_id) + text(login.username) + text(login.password))


def run(storm: Storm) -> Report:
    lines = Path(storm.logins).read_text().splitlines()
    packets = cycle([connect_packet(Login(*json.loads(line)), clean=storm.clean) for line in lines])
    waiting: dict[socket.socket, float] = {}
    milliseconds: list[float] = []
    refused = broken = 0
    with selectors.DefaultSelector() as selector:

        def begin() -> None:
            connection = socket.socket()
            connection.setblocking(False)
            waiting[connection] = time.perf_counter()
            connection.connect_ex((storm.host, storm.port))
            selector.register(connection, selectors.EVENT_WRITE, next(packets))

        def end(connection: socket.socket) -> None:
            selector.unregister(connection)
            connection.close()
            del waiting[connection]

        started, cpu = time.perf_counter(), time.process_time()
        for _ in range(storm.at_once):
            begin()
        while waiting:
            events = selector.select(timeout=TIMEOUT_S)
            now = time.perf_counter()
            going_on = now - started < storm.seconds
            if not events:
                broken += len(waiting)
                break
            for key, _ in events:
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                try:
                    if key.data is not None:
                        connection.send(key.data)  # a few hundred bytes: they fit into an empty buffer
                        selector.modify(connection, selectors.EVENT_READ, None)
                        continue
                    answer = connection.recv(16)
                    if answer in (ACCEPTED, ACCEPTED_AGAIN):
                        milliseconds.append((time.perf_counter() - waiting[connection]) * 1000)
                        connection.send(DISCONNECT)
                    elif answer:
                        refused += 1
                    else:
                        broken += 1
                except OSError:
                    broken += 1
                end(connection)
                if going_on:
                    begin()
        seconds = time.perf_counter() - started
    return Report(
        accepted=len(milliseconds),
        refused=refused,
        broken=broken,
        seconds=seconds,
        cpu_seconds=time.process_time() - cpu,
        milliseconds=milliseconds,
    )


def start(storms: Sequence[Storm]) -> list[subprocess.Popen[str]]:
    """One process each."""
    return [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.connects", json.dumps(asdict(storm))],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[1],
        )
        for storm in storms
    ]


def finish(processes: Sequence[subprocess.Popen[str]], timeout_s: float) -> list[Report]:
    reports = []
    for process in processes:
        out, _ = process.communicate(timeout=timeout_s)
        if process.returncode:
            raise RuntimeError(f"a generator of connects ended with code {process.returncode}")
        reports.append(Report(**json.loads(out)))
    return reports


if __name__ == "__main__":
    print(json.dumps(asdict(run(Storm(**json.loads(sys.argv[1]))))))
