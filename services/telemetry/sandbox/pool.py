"""Evaluates rules of many organizations in turns; what a rule does wrong costs the others next to nothing."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from contracts.activity import ActivityRecorded
from runtime.observe import log, meter
from services.telemetry.sandbox import quarantine
from services.telemetry.sandbox.process import Died, Limits, Worker
from services.telemetry.sandbox.protocol import Asked, Outcome
from services.telemetry.sandbox.quarantine import Allowance, Quarantine

_log = log(part="sandbox")
_cpu = meter.create_counter("hybridmq.expressions.cpu", unit="s", description="CPU time of expressions")
_messages = meter.create_counter(
    "hybridmq.expressions.messages", unit="{message}", description="Messages evaluated"
)
_deaths = meter.create_counter(
    "hybridmq.expressions.deaths", unit="{process}", description="Workers that died"
)
TURN_CPU_S = 0.005  # what a turn is to take, by what the last one took: others wait so long
FIRST_TURN = 16  # messages of a rule that is not known yet
START_COST_S = 0.1  # CPU time of a new worker, which is charged to whose message the last one died of
SPARES = 1  # started already, for when one dies
RESTART_S = 1.0  # after one that could not be started

Happened = Callable[[str, ActivityRecorded], None]


class Rule(NamedTuple):
    organization: str
    language: str
    source: str
    integration: str | None = None  # for people, in the activity

    @property
    def key(self) -> quarantine.Rule:
        text = f"{self.language}\0{self.source}".encode()
        return quarantine.Rule(self.organization, hashlib.sha256(text).hexdigest()[:16])


class Failure(NamedTuple):
    """Why a message has no outcome; a failure code, and words."""

    code: str
    detail: str


class _Lane:
    """Workers for one kind of rules, each busy, idle, or being replaced."""

    def __init__(self, size: int) -> None:
        self.size, self.count = size, 0
        self.idle: asyncio.Queue[Worker] = asyncio.Queue()


class Pool:
    """Workers, started when the first rule comes; `close()` ends them.

    `size` of them are for rules that are proven: their last turn ended well. One is for the others, so that a new
    rule holds up new ones only. A spare takes the place of one that dies. An organization has one worker at a
    time, however many rules it has; organizations take turns of a few milliseconds, in the order in which they ask.
    """

    def __init__(
        self,
        size: int,
        happened: Happened,
        *,
        limits: Limits = Limits(),
        allowance: Allowance = Allowance(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._happened, self._limits, self._clock = happened, limits, clock
        self._quarantine = Quarantine(allowance)
        self._proven, self._probation = _Lane(size), _Lane(1)
        self._spares: list[Worker] = []
        self._ready = asyncio.Event()  # the first one was started, or could not be
        self._starting = 0
        self._living: set[Worker] = set()  # all of them, and those that are on their way out
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted: dict[str, tuple[asyncio.Lock, int]] = {}  # an organization's turn; and how many want it
        self._cost_s: dict[quarantine.Rule, float] = {}  # CPU seconds a message, of proven rules
        self._closed = False

    async def evaluate(
        self,
        rule: Rule,
        messages: Sequence[Asked],
        *,
        within_s: float = 1.0,
        probation_s: float | None = None,
    ) -> list[Outcome | Failure]:
        """One for each message; never raises for what a rule does. What is not done in time has a Failure.

        `probation_s`, where it is less: for as long as the rule is not proven.
        """
        done: list[Outcome | Failure] = []
        self._fill()
        await self._ready.wait()
        lock, wanted = self._wanted.get(rule.organization, (asyncio.Lock(), 0))
        self._wanted[rule.organization] = (lock, wanted + 1)
        started = asyncio.get_running_loop().time()
        proven = rule.key in self._cost_s
        try:
            async with asyncio.timeout(within_s if proven or probation_s is None else probation_s) as limit:
                await self._evaluate(rule, messages, done, lock, limit, started + within_s)
        except TimeoutError:
            late = Failure("decoder.unavailable", "other rules, or the machine, left no time for it")
            done += [late] * (len(messages) - len(done))
        finally:
            lock, wanted = self._wanted.pop(rule.organization)
            if wanted > 1:
                self._wanted[rule.organization] = (lock, wanted - 1)
            self._tell(rule)
        return done

    async def _evaluate(
        self,
        rule: Rule,
        messages: Sequence[Asked],
        done: list[Outcome | Failure],
        lock: asyncio.Lock,
        limit: asyncio.Timeout,
        until: float,
    ) -> None:
        key, labels = rule.key, {"language": rule.language}
        fatal: tuple[int, Failure] | None = None  # a message that a worker died of: it is not tried again
        retried = False
        while len(done) < len(messages):
            if fatal is not None and fatal[0] == len(done):
                done.append(fatal[1])
                fatal = None
                continue
            if why := self._quarantine.why(key, self._clock()):
                done += [Failure("decoder.quarantined", why)] * (len(messages) - len(done))
                return
            turn = self._next(key, messages[len(done) : fatal[0] if fatal else None])
            try:
                async with lock:
                    outcomes, cpu_s = await self._run(rule, turn)
            except Died as death:
                _deaths.add(1, labels)
                _log.warning("a worker died", organization=rule.organization, rule=key.digest, why=death.why)
                self._cost_s.pop(key, None)
                if death.guilty:
                    cost_s = self._limits.message_cpu_s + START_COST_S
                    self._quarantine.died(key, death.why, cost_s, self._clock())
                elif not retried:
                    retried = True  # the machine was slow: once more, by another worker
                    continue
                code = "decoder.crashed" if death.guilty and not death.timed_out else "decoder.timeout"
                # The outcomes of those before it went with the worker: they are evaluated again, without it.
                fatal = (len(done) + death.at, Failure(code, death.why))
                continue
            _messages.add(len(turn), labels)
            _cpu.add(cpu_s, labels)
            self._remember(key, cpu_s / len(turn))
            limit.reschedule(until)
            size = sum(len(message.payload) for message in turn)
            self._quarantine.ran(key, len(turn), size, cpu_s, self._clock())
            done += outcomes

    def _next(self, key: quarantine.Rule, messages: Sequence[Asked]) -> list[Asked]:
        """What makes one turn."""
        cost = self._cost_s.get(key)
        count = (
            FIRST_TURN if cost is None else max(1, min(self._limits.turn_messages, int(TURN_CPU_S / cost)))
        )
        turn: list[Asked] = []
        size = 0
        for message in messages[:count]:
            size += len(message.payload)
            if turn and size > self._limits.turn_bytes:
                break
            turn.append(message)
        return turn

    def cost_s(self, rule: Rule) -> float | None:
        """CPU seconds of a message, as of its last turn."""
        return self._cost_s.get(rule.key)

    def _remember(self, key: quarantine.Rule, cost_s: float) -> None:
        self._cost_s[key] = max(cost_s, 1e-6)
        if len(self._cost_s) > quarantine.ENTRIES_MAX:
            self._cost_s.pop(next(iter(self._cost_s)))

    async def _run(self, rule: Rule, turn: list[Asked]) -> tuple[list[Outcome], float]:
        lane = self._proven if rule.key in self._cost_s else self._probation
        self._fill()
        while (worker := await lane.idle.get()).gone:  # somebody else killed it while it had nothing to do
            await worker.kill()
            self._give(worker, lane)
        try:
            return await worker.run(rule.language, rule.source, turn)
        finally:
            self._give(worker, lane)

    def _give(self, worker: Worker, lane: _Lane) -> None:
        if worker.alive and not worker.worn and not self._closed:
            lane.idle.put_nowait(worker)
            return
        lane.count -= 1
        if worker.alive:
            self._background(self._retire(worker))
        else:
            self._living.discard(worker)
        self._fill()

    async def _retire(self, worker: Worker) -> None:
        await worker.kill()
        self._living.discard(worker)

    def _fill(self) -> None:
        """The spare takes an empty place, and others are started."""
        if self._closed:
            return
        wanted = SPARES - len(self._spares) - self._starting
        for lane in (self._probation, self._proven):
            while self._spares and lane.count < lane.size:
                lane.count += 1
                lane.idle.put_nowait(self._spares.pop())
                wanted += 1
            wanted += lane.size - lane.count
        for _ in range(wanted):
            self._starting += 1
            self._background(self._start())

    async def _start(self) -> None:
        try:
            while not self._closed:
                try:
                    worker = await Worker.start(self._limits)
                except OSError as error:
                    self._ready.set()  # nobody waits for it longer than for an answer
                    _log.error("a worker could not be started", error=str(error))
                    await asyncio.sleep(RESTART_S)
                    continue
                if not worker.filtered:
                    _log.warning("this kernel filters no system calls: workers are confined by limits alone")
                self._living.add(worker)
                self._spares.append(worker)
                self._ready.set()
                break
        finally:
            self._starting -= 1
        self._fill()

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Ends all workers; they are gone when this returns."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.kill() for worker in self._living))
        self._living.clear()
        self._spares.clear()

    def _tell(self, rule: Rule) -> None:
        changes, self._quarantine.changes = self._quarantine.changes, []
        for organization, digest, why, rest_s in changes:
            one = digest == rule.key.digest and organization == rule.organization
            what = "An expression" if digest else "All of the organization's expressions"
            event = ActivityRecorded(
                kind="decoder.quarantined" if why else "decoder.released",
                status="failed" if why else "ok",
                summary=f"{what} may not run for {rest_s:.0f} s: {why}" if why else f"{what} may run again",
                subject=f"integration:{rule.integration}" if one and rule.integration else None,
                reason="decoder.quarantined" if why else None,
                details={"rule": digest, "language": rule.language, "rest_s": rest_s}
                if one
                else {"rest_s": rest_s},
            )
            self._happened(organization, event)
