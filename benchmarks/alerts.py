"""What alert rules cost: a backlog in MESSAGES to PostgreSQL, without rules, and with 100 rules of 1,000 devices.

`python -m benchmarks.alerts [messages]`, or `make bench ONLY=alerts`; servers of its own. Besides, the judging alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import nats

from benchmarks.projector import DEVICES, ORGANIZATION, fill, project
from benchmarks.servers import started
from contracts import envelope, subjects
from contracts.alert_rules import AlertRule, AlertRuleCreated
from contracts.decoders.choice import Origin
from contracts.envelope import Cause
from deploy.local.nats import NatsServer
from services.telemetry.alerting.of_messages import MessageBoard
from services.telemetry.alerting.rules import Rules
from services.telemetry.decoding import Batch, MessageRow, SampleRow

RULES = 100


def conditions(kind: str) -> list[dict[str, Any]]:
    """`quiet`: nothing breaks them; `open`: an alert of each device stays open; `silence`: a clock for each."""
    metrics = ("temperature", "humidity", "seq")
    if kind == "silence":
        return [{"kind": "no_data", "for_s": 600 + number} for number in range(RULES)]
    quiet = [
        {"kind": "threshold", "metric": metrics[number % 3], "operator": ">", "value": 1e9 + number}
        for number in range(RULES)
    ]
    if kind == "quiet":
        return quiet
    return [*quiet[1:], {"kind": "threshold", "metric": "humidity", "operator": ">", "value": 1.0}]


def events(kind: str) -> Iterable[AlertRuleCreated]:
    for number, condition in enumerate(conditions(kind)):
        rule = {"name": f"r{number}", "condition": condition}
        yield AlertRuleCreated(rule=AlertRule.model_validate_json(json.dumps(rule)))


async def make_rules(server: NatsServer, kind: str) -> None:
    client = await nats.connect(
        server.url, nkeys_seed_str=server.seeds.platform["credentials"], inbox_prefix=b"_INBOX.credentials"
    )
    for number, event in enumerate(events(kind)):
        cause, now = Cause("key:k", "credentials"), datetime.now(UTC)
        headers, data = envelope.encode(event, id=f"{kind}{number}", time=now, cause=cause)
        subject = subjects.registry(ORGANIZATION, "alert-rule", f"rule_{number}")
        await client.request(subject, data, headers=headers, timeout=5)
    await client.close()


def alone(kind: str, batches: int = 40, size: int = 1000) -> float:
    """µs of CPU a message of three readings, for the judging itself."""
    rules, start = Rules(), datetime(2026, 11, 22, tzinfo=UTC)
    for number, event in enumerate(events(kind)):
        rules.apply(ORGANIZATION, f"rule_{number}", event, number + 1, start)
    board = MessageBoard(rules)
    board.load([])
    board.learn(ORGANIZATION, {}, {})
    made = [_batch(start + timedelta(seconds=number), number * size, size) for number in range(batches)]
    board.follow_rules(start)
    board.judge(made[0])
    board.changes()
    began = time.process_time()
    for batch in made[1:]:
        board.judge(batch)
        board.changes()
    return (time.process_time() - began) / ((batches - 1) * size) * 1e6


def _batch(moment: datetime, first: int, size: int) -> Batch:
    batch, origin = Batch(), Origin("standard", 1, "")
    names = ("temperature", "humidity", "seq")
    for number in range(first, first + size):
        device, values = f"d{number % DEVICES}", [20.0 + number % 10, 40.5, float(number)]
        batch.messages.append(
            MessageRow(moment, number + 1, ORGANIZATION, device, 1, False, "hosted", "t", b"", None)
        )
        batch.samples.append(
            SampleRow(
                moment, number + 1, ORGANIZATION, device, 0, 0, "hosted", "t", names, list(values), None,
                None, False, origin,
            )
        )  # fmt: skip
    return batch


def run(kind: str | None, count: int) -> None:
    print(f"-- {'no rules' if kind is None else f'{RULES} rules, {kind}'}, {DEVICES} devices", flush=True)
    with started() as (server, postgres, _):
        if kind is not None:
            asyncio.run(make_rules(server, kind))
        asyncio.run(fill(server, count, timed=False))
        asyncio.run(project(server, postgres, postgres.urls(), count))


def main(arguments: Sequence[str] = ()) -> int:
    count = int(arguments[0]) if arguments else 200_000
    for kind in ("quiet", "open", "silence"):
        print(f"judging alone, {RULES} rules, {kind}: {alone(kind):.2f} µs a message of three readings")
    for each in (None, "quiet", "open", "silence", None):
        run(each, count)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
