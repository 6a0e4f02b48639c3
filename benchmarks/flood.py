"""A QoS 0/1 MQTT 3.1.1 publisher over a raw socket, cheap enough to share a machine with what it measures.

Each process has one connection and two windows of packets, made once; between two sendings of a window only
the time and the sequence number in it are written anew. A window is sent again when its last sending is
acknowledged, so the ledger is a list of windows. Run as `python -m benchmarks.flood '<settings as JSON>'`;
it prints its Report as one JSON line.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.support.mqtt_wire import packet, text

SEQUENCE_BASE = 10**12  # of fixed width, so that it can be overwritten in place; exact in a double
WORKER_STEP = 10**9  # each worker counts in a range of its own
ACK_TIMEOUT_S = 60  # a crashed nats-server sources again after ten seconds; this is beyond any pause we know


@dataclass(frozen=True)
class Flood:
    """One worker's work; it ends after `messages` or `seconds`, whichever comes first."""

    host: str
    port: int
    topic_prefix: str  # `org_…/devices`
    client_id: str
    username: str | None = None
    password: str | None = None
    qos: int = 1
    worker: int = 1
    devices: int = 1000
    window: int = 500  # packets; two of them are under way
    messages: int = 100_000
    seconds: float = 60
    rate: float = 0  # messages a second; 0: as fast as they are acknowledged
    authority: str | None = None  # a file: TLS, to a server whose certificate it signed
    ledger: str | None = None  # a file: `<first sequence> <count>` for each acknowledged window


@dataclass(frozen=True)
class Report:
    worker: int
    first_sequence: int
    sent: int
    acknowledged: int
    seconds: float
    cpu_seconds: float
    started: float  # Unix time of the first publish


class Window:
    """Packets of consecutive sequence numbers, each of another device, in one buffer."""

    def __init__(self, flood: Flood, number: int) -> None:
        self.size = flood.window
        self.first = 0
        first_id = 1 + number * flood.window
        packets, self._offsets, length = [], [], 0
        stamp, sequence = _stamp(), SEQUENCE_BASE
        for slot in range(flood.window):
            device = (number * flood.window + slot) % flood.devices
            made, at = _publish(flood, device, first_id + slot, f"{stamp}{sequence}")
            packets.append(made)
            self._offsets.append(length + at)
            length += len(made)
        self.buffer = bytearray(b"".join(packets))
        self.acknowledgements = b"".join(
            b"\x40\x02" + struct.pack(">H", first_id + slot) for slot in range(flood.window)
        )

    def renumber(self, first: int) -> None:
        """Write the time and the sequence numbers from `first` on into the packets."""
        buffer, stamp, sequence = self.buffer, _stamp().encode(), first
        width = len(stamp) + len(str(sequence))
        for offset in self._offsets:
            buffer[offset : offset + width] = b"%b%d" % (stamp, sequence)
            sequence += 1
        self.first = first


def _stamp() -> str:
    """The part of the payload that changes, up to the sequence number."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f'{moment}","metrics":{{"seq":'


def _publish(flood: Flood, device: int, packet_id: int, variable: str) -> tuple[bytes, int]:
    """A PUBLISH packet, and where its variable part begins."""
    head = f'{{"deviceId":"d{device}","timestamp":"'.encode()
    tail = f',"temperature":{20 + device % 10}.5,"humidity":{40 + device % 20}}}}}'.encode()
    identifier = struct.pack(">H", packet_id) if flood.qos else b""
    front = text(f"{flood.topic_prefix}/d{device}/telemetry") + identifier + head
    made = packet(0x30 | flood.qos << 1, front + variable.encode() + tail)
    return made, made.index(head) + len(head)


class Connection:
    """A connected client; every method raises where the server does not do as it should."""

    def __init__(self, flood: Flood) -> None:
        self.socket = socket.create_connection((flood.host, flood.port), timeout=ACK_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if flood.authority:
            context = ssl.create_default_context(cafile=flood.authority)
            self.socket = context.wrap_socket(self.socket, server_hostname=flood.host)
        flags = 2 | (0xC0 if flood.username else 0)
        body = text("MQTT") + bytes([4, flags]) + struct.pack(">H", 600) + text(flood.client_id)
        if flood.username:
            body += text(flood.username) + text(flood.password or "")
        self.socket.sendall(packet(0x10, body))
        answer = self.read(4)
        if answer != b"\x20\x02\x00\x00":
            raise ConnectionRefusedError(f"CONNACK {answer.hex()}")

    def read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            got = self.socket.recv(count - len(data))
            if not got:
                raise ConnectionResetError(f"closed by the broker after {len(data)} of {count} bytes")
            data += got
        return bytes(data)

    def await_acknowledgements(self, window: Window) -> None:
        got = self.read(len(window.acknowledgements))
        if got == window.acknowledgements:
            return
        packets = {got[at : at + 4] for at in range(0, len(got), 4)}  # in another order, then
        wanted = {window.acknowledgements[at : at + 4] for at in range(0, len(got), 4)}
        if packets != wanted:
            raise ConnectionError(f"{len(wanted - packets)} of {len(wanted)} PUBACKs are other packets")

    def settle(self) -> None:
        """Returns when the broker has read everything before."""
        self.socket.sendall(b"\xc0\x00")
        if self.read(2) != b"\xd0\x00":
            raise ConnectionError("no PINGRESP")

    def close(self) -> None:
        self.socket.sendall(b"\xe0\x00")
        self.socket.close()


def run(flood: Flood) -> Report:
    """Publish; what was acknowledged before a failure is in the ledger and in the report."""
    windows = [Window(flood, number) for number in range(2)]
    waiting: list[Window] = []
    connection = Connection(flood)
    first = sequence = SEQUENCE_BASE + flood.worker * WORKER_STEP
    acknowledged = 0
    started, start, cpu = time.time(), time.monotonic(), time.process_time()
    ledger = Path(flood.ledger).open("w") if flood.ledger else None  # noqa: SIM115 (closed below)
    try:
        while True:
            sent = sequence - first
            more = sent < flood.messages and time.monotonic() - start < flood.seconds
            if waiting and (not more or len(waiting) == len(windows)):
                oldest = waiting.pop(0)
                if flood.qos:
                    connection.await_acknowledgements(oldest)
                    acknowledged += oldest.size
                    if ledger:
                        ledger.write(f"{oldest.first} {oldest.size}\n")
                continue
            if not more:
                break
            if flood.rate and (ahead := start + sent / flood.rate - time.monotonic()) > 0:
                time.sleep(ahead)
            window = windows[sent // flood.window % len(windows)]
            window.renumber(sequence)
            connection.socket.sendall(window.buffer)
            waiting.append(window)
            sequence += window.size
        connection.settle()
        connection.close()
    except OSError as error:
        print(f"flood {flood.worker}: {error!r}", file=sys.stderr, flush=True)
    finally:
        if ledger:
            ledger.close()
    return Report(
        worker=flood.worker,
        first_sequence=first,
        sent=sequence - first,
        acknowledged=acknowledged,
        seconds=time.monotonic() - start,
        cpu_seconds=time.process_time() - cpu,
        started=started,
    )


def start(floods: Sequence[Flood]) -> list[subprocess.Popen[str]]:
    """A process for each."""
    return [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.flood", json.dumps(asdict(flood))],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[1],
        )
        for flood in floods
    ]


def finish(processes: Sequence[subprocess.Popen[str]], timeout_s: float) -> list[Report]:
    """Their reports; raises when one does not end in time, and leaves none running."""
    deadline = time.monotonic() + timeout_s
    reports = []
    try:
        for process in processes:
            out, _ = process.communicate(timeout=max(1, deadline - time.monotonic()))
            if process.returncode:
                raise RuntimeError(f"a load generator ended with code {process.returncode}")
            reports.append(Report(**json.loads(out)))
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    return reports


if __name__ == "__main__":
    print(json.dumps(asdict(run(Flood(**json.loads(sys.argv[1]))))))
