"""The oracle of every fault: what was acknowledged to a device is in PostgreSQL, once, in order, nowhere else.

A device writes each message's number to an fsynced file **after** its PUBACK (or 2xx), and sends nothing twice:
what was not acknowledged when the connection broke may or may not have arrived.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle, pairwise
from pathlib import Path
from typing import Protocol

import httpx

from deploy.local.ports import LOOPBACK
from tests.support.clients import NO_TLS
from tests.support.mqtt_wire import packet, text


class Ledger:
    """Numbers that were acknowledged, on disk before anything else happens."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")
        self.acknowledged: list[int] = []
        self.sent: list[int] = []

    def acknowledge(self, numbers: Iterable[int]) -> None:
        new = list(numbers)
        self._file.write("".join(f"{number}\n" for number in new))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.acknowledged += new


@dataclass(frozen=True)
class Verdict:
    """Pass is all zero."""

    lost: int
    invented: int
    doubled: int
    disordered: int

    @property
    def clean(self) -> bool:
        return (self.lost, self.invented, self.doubled, self.disordered) == (0, 0, 0, 0)


def judge(ledger: Ledger, rows: list[int]) -> Verdict:
    """`rows` are the numbers of one device's messages as the store has them, in its order."""
    held = Counter(rows)
    return Verdict(
        lost=len(set(ledger.acknowledged) - held.keys()),
        invented=len(held.keys() - set(ledger.sent)),
        doubled=sum(1 for count in held.values() if count > 1),
        disordered=sum(1 for before, after in pairwise(rows) if after < before),
    )


class Load(threading.Thread):
    """Sends numbered messages at a rate until `leave_off` is set; goes on after every broken connection."""

    def __init__(self, ledger: Ledger, way: Way, *, window: int, rate: float) -> None:
        super().__init__(daemon=True, name="load")
        self.ledger, self._way, self._window, self._pause_s = ledger, way, window, window / rate
        self.broken = 0
        self.leave_off = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.leave_off.wait(self._pause_s):
            numbers = list(range(number, number + self._window))
            number += self._window
            self.ledger.sent += numbers
            try:
                self._way.send(numbers, self.ledger)
            except (OSError, httpx.HTTPError):
                self.broken += 1
                self._way.close()
        self._way.close()


class Way(Protocol):
    """How messages travel; `send` acknowledges to the ledger and raises when the connection breaks."""

    def send(self, numbers: list[int], ledger: Ledger) -> None: ...

    def close(self) -> None: ...


class Mqtt:
    """QoS 1 over a raw MQTT 3.1.1 connection: nothing is sent again, no library keeps anything."""

    def __init__(
        self,
        *ports: int,
        username: str,
        password: str,
        client_id: str,
        topic: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Of several `ports` (a cluster's), each connection takes the next."""
        self._ports, self._topic, self._tls = cycle(ports), topic, tls
        self._login = (client_id, username, password)
        self._socket: socket.socket | None = None

    def send(self, numbers: list[int], ledger: Ledger) -> None:
        connection = self._socket = self._socket or self._connect()
        packets = [
            packet(0x32, text(self._topic) + struct.pack(">H", slot) + b'{"number":%d}' % number)
            for slot, number in enumerate(numbers, 1)
        ]
        connection.sendall(b"".join(packets))
        waiting = len(numbers)
        buffer = b""
        while waiting:
            got = connection.recv(65536)
            if not got:
                raise ConnectionResetError("closed")
            buffer += got
            whole = len(buffer) // 4
            slots = [struct.unpack(">H", buffer[4 * at + 2 : 4 * at + 4])[0] for at in range(whole)]
            buffer = buffer[4 * whole :]
            ledger.acknowledge(numbers[slot - 1] for slot in slots)
            waiting -= whole

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((LOOPBACK, next(self._ports)), timeout=5)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_hostname=LOOPBACK)
        connection.settimeout(15)  # sourcing resumes ten seconds after a crash of the server
        client_id, username, password = self._login
        body = text("MQTT") + bytes([4, 0xC2]) + struct.pack(">H", 60)
        connection.sendall(packet(0x10, body + text(client_id) + text(username) + text(password)))
        if connection.recv(4) != b"\x20\x02\x00\x00":
            connection.close()
            raise ConnectionRefusedError("CONNACK refused")
        return connection


class Http:
    """POST /v1/ingest, one message a request."""

    def __init__(self, gateway: str, key: str, topic: str) -> None:
        self._url, self._key, self._topic = f"{gateway}/v1/ingest", key, topic
        self._client: httpx.Client | None = None

    def send(self, numbers: list[int], ledger: Ledger) -> None:
        client = self._client = self._client or httpx.Client(verify=NO_TLS, timeout=10)
        for number in numbers:
            answer = client.post(
                self._url,
                json={"topic": self._topic, "payload": {"number": number}},
                headers={"Authorization": f"Bearer {self._key}"},
            )
            if answer.status_code == 202:
                ledger.acknowledge([number])
            elif answer.status_code < 500:
                raise AssertionError(f"{answer.status_code}: {answer.text}")

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
