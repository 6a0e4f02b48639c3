"""The process that evaluates. Arguments: fd of the progress, memory, CPU s of a message and of a life, output bytes.

Evaluates jobs from stdin, answers on stdout. A message that uses up its CPU time ends the process by SIGPROF: the
kernel's timer needs nobody's co-operation. So does the pool, from outside, by its own clock.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
from typing import Any

import msgspec

from services.telemetry.sandbox.confine import confine
from services.telemetry.sandbox.engines import Clock, Rule, compiled
from services.telemetry.sandbox.protocol import LENGTH, PROGRESS, Asked, Hello, Job, Outcome

RULES_MAX = 64  # compiled ones in memory
CRASHED = 70  # the engine is in a state that nobody knows
_encode = msgspec.msgpack.Encoder().encode
_decode_job = msgspec.msgpack.Decoder(Job).decode
_parse = msgspec.json.Decoder().decode


class Evaluator:
    def __init__(self, output_bytes_max: int) -> None:
        self._output_bytes_max = output_bytes_max
        self._clock = Clock()
        self._rules: dict[tuple[str, str], Rule | str] = {}

    def rule(self, language: str, source: str) -> Rule | str:
        """Compiled; or words about why it is none."""
        key = (language, source)
        rule = self._rules.pop(key, None)
        if rule is None:
            try:
                rule = compiled(language, source, self._clock)
            except Exception as error:  # noqa: BLE001  # engines raise what they like
                rule = _words(error)
        self._rules[key] = rule  # the last one used stands last
        if len(self._rules) > RULES_MAX:
            del self._rules[next(iter(self._rules))]
        return rule

    def evaluate(self, rule: Rule | str, message: Asked) -> Outcome:
        if isinstance(rule, str):
            return Outcome("unreadable", rule)
        try:
            payload = _parse(message.payload)
        except (ValueError, RecursionError):
            return Outcome("not_json")
        self._clock.millis = message.received_ms
        try:
            value = rule({"topic": message.topic, "payload": payload, "received_at": str(self._clock)})
            result = _encode(value)
        except Exception as error:  # noqa: BLE001  # engines raise what they like
            return Outcome("failed", _words(error))
        if len(result) > self._output_bytes_max:
            return Outcome("too_large", len(result))
        return Outcome("value", msgspec.Raw(result))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300].encode(errors="replace").decode()


def _read(count: int) -> bytes:
    """Exactly as many; the process ends with its input."""
    data = b""
    while len(data) < count:
        more = os.read(0, count - len(data))
        if not more:
            os._exit(0)
        data += more
    return data


def _write(answer: Any) -> None:
    body = _encode(answer)
    data = memoryview(LENGTH.pack(len(body)) + body)
    while data:
        data = data[os.write(1, data) :]


def main(progress_fd: int, memory_bytes: int, message_s: float, life_s: int, output_bytes_max: int) -> None:
    progress = mmap.mmap(progress_fd, PROGRESS.size)
    os.close(progress_fd)
    os.chdir("/")
    warm = Evaluator(output_bytes_max)
    for language, source in (
        ("jsonata", "payload.a[0] & /b/"),
        ("jmespath", "to_string(payload.a[0])"),
        ("jmespath", "("),
    ):
        warm.evaluate(
            warm.rule(language, source), Asked("a", b'{"a":[1]}', 0)
        )  # nothing is imported afterwards
    evaluator = Evaluator(output_bytes_max)
    _write(Hello(confine(memory_bytes, life_s)))
    while True:
        job = _decode_job(_read(LENGTH.unpack(_read(LENGTH.size))[0]))
        outcomes = []
        for at, message in enumerate(job.messages, 1):
            PROGRESS.pack_into(progress, 0, at)
            signal.setitimer(signal.ITIMER_PROF, message_s)
            outcomes.append(evaluator.evaluate(evaluator.rule(job.language, job.source), message))
        signal.setitimer(signal.ITIMER_PROF, 0)
        _write(outcomes)


if __name__ == "__main__":
    fd, memory, message_cpu, life_cpu, output = sys.argv[1:]
    try:
        main(int(fd), int(memory), float(message_cpu), int(life_cpu), int(output))
    except BaseException:  # noqa: BLE001  # a panic, no memory left: whatever it is, a new process takes over
        os._exit(CRASHED)
