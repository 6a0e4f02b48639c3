"""What TLS costs: plain, at nats-server's own port, and at the relay; messages a second and CPU of each process.

QoS 1 of 100 bytes from 32 connections, the PUBACK included. The load generator has the same cores.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import tempfile
import time
from pathlib import Path

import psutil
import uvloop

from deploy.local.nats import DEVICES_MQTT_USER, NatsServer
from deploy.local.nats_config import NatsPorts
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.secrets import Secrets
from deploy.local.tls import tls_files
from tests.support.service import Service

CONNECTIONS, CONNECTS, SECONDS, WARM_S = 32, 500, 4.0, 1.0
WAYS = ("plain", "nats-server", "relay")


class Load:
    """Clients that publish as fast as they are acknowledged."""

    def __init__(self, password: str) -> None:
        self.acknowledged = 0
        self._password = password.encode()

    async def connect(
        self, number: int, port: int, tls: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=tls)
        login = _field(b"c%d" % number) + _field(DEVICES_MQTT_USER.encode()) + _field(self._password)
        writer.write(_packet(0x10, _field(b"MQTT") + b"\x04\xc2\0\x3c" + login))
        assert await reader.readexactly(4) == b"\x20\x02\0\0"
        return reader, writer

    async def publish(self, number: int, port: int, tls: ssl.SSLContext | None, window: int) -> None:
        reader, writer = await self.connect(number, port, tls)
        packet_id = 0

        def messages(count: int) -> bytes:
            nonlocal packet_id
            packets = []
            for _ in range(count):
                packet_id = packet_id % 60_000 + 1
                body = _field(b"org_a/devices/d1/telemetry") + struct.pack(">H", packet_id) + b"x" * 100
                packets.append(_packet(0x32, body))
            return b"".join(packets)

        try:
            writer.write(messages(window))
            while True:
                acknowledged = len(await reader.read(65_536)) // 4
                self.acknowledged += acknowledged
                writer.write(messages(acknowledged))
        finally:
            writer.transport.abort()


def main(_: list[str]) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = tls_files(folder / "tls", {})
        ports = NatsPorts(free_port(), free_port(), free_port(), free_port())
        server = NatsServer(
            folder / "nats", ports, Secrets(folder / "secrets"), tls=(files.certificate, files.key)
        )
        mqtts = free_port()
        relay_env = {
            "MQTTS_PORT": str(mqtts),
            "MQTT_WSS_PORT": str(free_port()),
            "MQTT_TLS_CERT": str(files.certificate),
            "MQTT_TLS_KEY": str(files.key),
            "RELAY_MQTT_PORT": str(ports.mqtt),
            "HEALTH_PORT": str(free_port()),
        }
        relay = Service("relay", relay_env, folder / "relay.log")
        try:
            server.start()
            relay.start()
            assert files.authority is not None
            uvloop.run(_measure(server, relay, mqtts, ssl.create_default_context(cafile=files.authority)))
        finally:
            relay.process.stop()
            server.stop()
    return 0


async def _measure(server: NatsServer, relay: Service, mqtts: int, context: ssl.SSLContext) -> None:
    load = Load(server.seeds.mqtt_password)
    processes = [psutil.Process(server.process.pid), psutil.Process(relay.process.pid)]
    for window in (1, 50):
        for way in WAYS:
            port, tls = mqtts if way == "relay" else server.ports.mqtt, None if way == "plain" else context
            tasks = [asyncio.create_task(load.publish(n, port, tls, window)) for n in range(CONNECTIONS)]
            await asyncio.sleep(WARM_S)
            began, count, cpu = time.perf_counter(), load.acknowledged, [_cpu_s(each) for each in processes]
            await asyncio.sleep(SECONDS)
            rate = (load.acknowledged - count) / (time.perf_counter() - began)
            spent = [
                1e6 * (_cpu_s(each) - before) / (load.acknowledged - count)
                for each, before in zip(processes, cpu, strict=True)
            ]
            print(
                f"{way:12} {window:2} in flight: {rate:7,.0f} msg/s;"
                f" nats-server {spent[0]:4.1f} µs, relay {spent[1]:4.1f} µs a message"
            )
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    for way in WAYS:
        port, tls = mqtts if way == "relay" else server.ports.mqtt, None if way == "plain" else context
        memory, began = processes[1].memory_info().rss, time.perf_counter()
        held = []
        for first in range(0, CONNECTS, 50):
            some = range(1000 + first, 1000 + first + 50)
            held += await asyncio.gather(*(load.connect(number, port, tls) for number in some))
        rate = CONNECTS / (time.perf_counter() - began)
        kib = (processes[1].memory_info().rss - memory) / CONNECTS / 1024
        print(f"{way:12} {rate:6,.0f} connects/s; {kib:4.1f} KiB of the relay's each")
        for _, writer in held:
            writer.transport.abort()
        await asyncio.sleep(WARM_S)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _field(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _packet(first: int, body: bytes) -> bytes:
    size, length = len(body), bytearray()
    while True:
        size, low = divmod(size, 128)
        length.append(low | 0x80 if size else low)
        if not size:
            return bytes((first,)) + bytes(length) + body
