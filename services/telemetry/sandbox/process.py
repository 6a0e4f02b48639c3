"""One worker, seen from outside: started, asked, killed."""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from services.telemetry.sandbox.protocol import LENGTH, PROGRESS, Asked, Hello, Job, Outcome

ROOT = Path(__file__).resolve().parents[3]
START_S = 20.0  # 0.1 s where there is nothing else to do
DYING_S = 0.1  # the end of its output is known before its own end, whose signal says what it was
END_S = 5.0  # for the kernel to bury a killed process
# No secrets. jsonatapy's allocator would set aside 1 GiB of address space, and so of the limit, at once.
ENVIRONMENT = {"MIMALLOC_DISALLOW_ARENA_ALLOC": "1"}
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Outcome]).decode
_decode_hello = msgspec.msgpack.Decoder(Hello).decode


class Limits(NamedTuple):
    message_cpu_s: float = 0.05
    """A thousand times what a usual rule takes for a message; the kernel's tick is 4 ms."""
    memory_bytes: int = 128 * 1024 * 1024
    """Over what a worker has at its start (address space, of which half is ever touched)."""
    output_bytes: int = 256 * 1024
    """As much as a message may hold."""
    turn_messages: int = 256
    turn_bytes: int = 1024 * 1024
    """Of one request; others wait for their turn so long."""
    turn_wall_s: float = 1.0
    """Then the worker is killed, whatever it does: it got no CPU, or does not end by its own timer."""
    life_cpu_s: int = 600
    """A worker is replaced at half of it; the kernel ends one that is not."""
    life_messages: int = 1_000_000


class Died(Exception):
    """The worker is gone. `at` counts from 0: the message that it was busy with; those before are unanswered too."""

    def __init__(self, at: int, why: str, *, guilty: bool, timed_out: bool) -> None:
        super().__init__(why)
        self.at, self.why, self.guilty, self.timed_out = at, why, guilty, timed_out


class Worker:
    def __init__(self, process: asyncio.subprocess.Process, progress: mmap.mmap, limits: Limits) -> None:
        self._process, self._progress, self._limits = process, progress, limits
        self.filtered = False
        self.messages = 0
        self.alive = True

    @classmethod
    async def start(cls, limits: Limits) -> Worker:
        """OSError or TimeoutError where there is none."""
        shared = os.memfd_create("progress")
        try:
            os.ftruncate(shared, PROGRESS.size)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-E", "-s", "-B", "-m", "services.telemetry.sandbox.worker", str(shared)),
                *(str(limits.memory_bytes), str(limits.message_cpu_s), str(limits.life_cpu_s)),
                str(limits.output_bytes),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,  # what a panic prints holds a tenant's data
                cwd=ROOT,
                env=ENVIRONMENT,
                pass_fds=(shared,),
                start_new_session=True,  # Ctrl-C is ours
            )
            worker = cls(process, mmap.mmap(shared, PROGRESS.size), limits)
        finally:
            os.close(shared)
        try:
            async with asyncio.timeout(START_S):
                worker.filtered = _decode_hello(await worker._read()).filtered
        except (EOFError, TimeoutError) as error:
            await worker.kill()
            raise OSError(f"a worker did not start: {error!r}") from error
        except BaseException:
            await worker.kill()
            raise
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def gone(self) -> bool:
        return self._process.returncode is not None

    @property
    def worn(self) -> bool:
        """Time for a new one, before a limit ends it in the middle of somebody's work."""
        return self.messages >= self._limits.life_messages or self.cpu_s() >= self._limits.life_cpu_s / 2

    def cpu_s(self) -> float:
        """That it used so far; 0 once it is gone."""
        with suppress(OSError):
            return time.clock_gettime((~self._process.pid << 3) | 2)  # as clock_getcpuclockid(3) makes it
        return 0.0

    async def run(self, language: str, source: str, messages: Sequence[Asked]) -> tuple[list[Outcome], float]:
        """An outcome for each, and the CPU seconds that they took; Died where they are not to be had."""
        PROGRESS.pack_into(self._progress, 0, 0)
        before = self.cpu_s()
        assert self._process.stdin is not None
        body = _encode(Job(language, source, list(messages)))
        try:
            async with asyncio.timeout(self._limits.turn_wall_s):
                self._process.stdin.write(LENGTH.pack(len(body)) + body)
                await self._process.stdin.drain()
                outcomes = _decode(await self._read(len(messages)))
                if len(outcomes) != len(messages):
                    raise ValueError("not as many outcomes as messages")
        except TimeoutError:
            used = self.cpu_s() - before
            await self.kill()
            # It has a timer of its own: one that was not even given its CPU time is not to blame.
            raise self._died(
                "its time was up", guilty=used >= self._limits.message_cpu_s, late=True
            ) from None
        except (EOFError, OSError, ValueError, msgspec.MsgspecError) as error:
            await self.kill(after_s=DYING_S)
            raise self._died(self._end(error), guilty=True) from None
        except BaseException:
            await self.kill()  # cancelled in the middle: nobody would read the rest
            raise
        self.messages += len(messages)
        return outcomes, self.cpu_s() - before

    def _died(self, why: str, *, guilty: bool, late: bool = False) -> Died:
        at: int = PROGRESS.unpack_from(self._progress, 0)[0]
        timed_out = late or self._process.returncode == -signal.SIGPROF
        return Died(max(at - 1, 0), why, guilty=guilty, timed_out=timed_out)

    def _end(self, error: Exception) -> str:
        code = self._process.returncode
        if code == -signal.SIGPROF:
            return f"it took over {self._limits.message_cpu_s * 1000:.0f} ms of CPU time"
        if not isinstance(error, EOFError | OSError):
            return f"its answer was no answer: {error!r}"
        return f"its process ended ({code}), as when it asks for over {self._limits.memory_bytes >> 20} MiB"

    async def _read(self, count: int = 1) -> bytes:
        """One frame, of at most what `count` outcomes may take."""
        assert self._process.stdout is not None
        (length,) = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))
        if length > count * (self._limits.output_bytes + 1024):
            raise ValueError(f"a frame of {length} bytes")
        return await self._process.stdout.readexactly(length)

    async def kill(self, *, after_s: float = 0) -> None:
        """SIGKILL where it still lives; it is buried when this returns."""
        self.alive = False
        await self._ended(after_s)
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._ended(END_S)
        self._process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001  # its pipes; there is no other way

    async def _ended(self, within_s: float) -> None:
        if self._process.returncode is None and within_s:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._process.wait()
