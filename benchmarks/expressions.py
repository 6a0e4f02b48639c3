"""The custom decoder: µs per message by paths and by expression, the start of a worker, the wait for a hostile rule."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import uvloop

from contracts.decoders import Decoded, Message
from contracts.decoders.custom import Custom
from contracts.decoders.custom_settings import CustomSettings
from services.telemetry.sandbox.expressions import decode_many
from services.telemetry.sandbox.pool import Pool, Rule
from services.telemetry.sandbox.process import Limits, Worker
from services.telemetry.sandbox.protocol import Asked

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAYLOAD = (
    b'{"sn":"S9","at":"2026-03-01T10:00:00Z","values":{"t":27,"h":40.5,"seq":1},'
    b'"obs":[{"n":"t","v":27},{"n":"h","v":40.5},{"n":"seq","v":1}]}'
)
PATHS = {"device_id_path": "sn", "telemetry_path": "values", "timestamp_path": "at"}
NAMED = {"renames": {"t": "temperature"}, "units": {"t": "°C"}, "scale": {"t": 0.1}}
BY_PATHS: dict[str, dict[str, Any]] = {
    "paths": PATHS,
    "paths, names, units, scale": PATHS | NAMED,
    "paths, pattern for the time": PATHS | {"timestamp_format": "%Y-%m-%dT%H:%M:%S%z"},
}
BY_EXPRESSION = {
    "jsonata": '{"device_id": payload.sn, "time": payload.at, "readings": payload.obs{n: v}}',
    "jmespath": "{device_id: payload.sn, time: payload.at, readings: payload.obs[].{name: n, value: v}}",
}
LOOP = "($f := function($x){ $f($x + 1) }; $f(1))"
MESSAGES = 50_000
BATCH = 4_000


def main(arguments: list[str]) -> int:
    """Print them; best of three."""
    del arguments
    messages = [Message(f"plant/{n % 1000}/up", PAYLOAD, NOW) for n in range(MESSAGES)]
    decode = Custom().decode
    gc.set_threshold(100_000, 20, 20)  # as the service has it
    gc.freeze()
    for title, settings in BY_PATHS.items():
        model = CustomSettings.model_validate(settings)
        best = min(_seconds(decode, messages, model) for _ in range(3))
        print(f"{title:<34} {best / MESSAGES * 1e6:7.2f} µs", flush=True)
    uvloop.run(_expressions())
    return 0


def _seconds(decode: Callable[[Message, Any], Decoded], messages: list[Message], settings: Any) -> float:
    start = time.process_time()
    for message in messages:
        decode(message, settings)
    return time.process_time() - start


async def _expressions() -> None:
    starts = []
    for _ in range(3):
        begun = time.perf_counter()
        worker = await Worker.start(Limits())
        starts.append((time.perf_counter() - begun, worker.cpu_s()))
        await worker.kill()
    wall, cpu = min(starts)
    print(f"{'start of a worker':<34} {wall * 1e3:7.0f} ms, CPU {cpu * 1e3:.0f} ms", flush=True)

    pool = Pool(2, lambda *_: None)
    batch = [Message(f"plant/{n % 1000}/up", PAYLOAD, NOW) for n in range(BATCH)]
    for language, source in BY_EXPRESSION.items():
        settings = CustomSettings.model_validate({"expression": {"language": language, "source": source}})
        found = []
        for _ in range(4):  # the first one starts the workers
            begun, ours = time.perf_counter(), time.process_time()
            reads = await decode_many(pool, "org_a", settings, batch)
            found.append((time.perf_counter() - begun, time.process_time() - ours))
            assert not any(isinstance(one, Exception) for one in reads), reads[0]
        wall, ours = min(found)
        theirs = pool.cost_s(Rule("org_a", language, source)) or 0.0
        print(
            f"{language:<34} {theirs * 1e6:7.2f} µs in the worker, {ours / BATCH * 1e6:.2f} µs in the service;"
            f" a batch of {BATCH} waits {wall * 1e3:.0f} ms",
            flush=True,
        )
    begun = time.perf_counter()
    await pool.evaluate(Rule("org_hostile", "jsonata", LOOP), [Asked("t", b"1", 0)] * BATCH)
    print(
        f"{'a batch waits for a hostile rule':<34} {(time.perf_counter() - begun) * 1e3:7.0f} ms, once",
        flush=True,
    )
    begun = time.perf_counter()
    await pool.evaluate(Rule("org_hostile", "jsonata", LOOP), [Asked("t", b"1", 0)] * BATCH)
    print(f"{'and while it rests':<34} {(time.perf_counter() - begun) * 1e3:7.1f} ms", flush=True)
    await pool.close()


if __name__ == "__main__":
    main([])
