"""A channel in the event loop: what comes is handed on, what goes out goes out, and the end is told once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from contracts.failures import Failure
from services.ingest.channel import Channel, NothingYet

LEFT_READS_MAX = 1_024  # of what the kernel holds of a lost connection: some MiB
OUT_BYTES_MAX = 4 * 1024 * 1024  # a peer that takes nothing is left before this grows


class Wire:
    """`ended` resolves with the reason when the connection is over; `failure` says it where the channel knows."""

    def __init__(
        self, channel: Channel, *, on_data: Callable[[bytes], None], on_ended: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self.failure: Failure | None = None
        self.heard_at = self.sent_at = self._loop.time()
        self._channel, self._on_data, self._on_ended = channel, on_data, on_ended
        self._paused = self._stopped = self._mute = False
        self._reading = self._writing = False  # what the loop watches for us

    def begin(self) -> None:
        """Reads from now on; what came together with the opening of the channel at once."""
        self._watch()
        self._read()

    @property
    def listening(self) -> bool:
        return self._reading

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not taken yet."""
        return self._channel.waiting

    def pause(self) -> None:
        self._paused = True
        self._watch()

    def stop(self) -> None:
        """Nothing more is read; what is to be sent still is."""
        self._stopped = True
        self._watch()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self.heard_at = self._loop.time()
            self._watch()

    def _watch(self) -> None:
        """Has the loop tell us of the socket exactly when we want to read it."""
        wanted = not (self._paused or self._stopped or self.ended.done())
        if wanted and not self._reading:
            self._loop.add_reader(self._channel.fileno(), self._read)
        elif self._reading and not wanted:
            self._loop.remove_reader(self._channel.fileno())
        self._reading = wanted

    def _read(self) -> None:
        try:
            data = self._channel.receive()
        except BlockingIOError:
            return
        except Failure as failure:
            self.fail(failure.detail, failure)
        except OSError as error:
            self.fail(error.strerror or str(error))
        else:
            if data:
                self.heard_at = self._loop.time()
                self._on_data(data)
            else:
                self.fail("the broker hung up")

    def send(self, data: bytes) -> None:
        """After the end, nothing."""
        if self._mute or self.ended.done():
            return
        self.sent_at = self._loop.time()
        try:
            self._channel.send(data)
        except (OSError, Failure):
            self._lost()
        else:
            self._write_later()

    def _write(self) -> None:
        try:
            self._channel.flush()
        except (OSError, Failure):
            self._lost()
        else:
            self._write_later()

    def _write_later(self) -> None:
        waiting = self._channel.waiting
        if waiting > OUT_BYTES_MAX:
            self.fail("the broker takes nothing")
        elif waiting and not self._writing:
            self._loop.add_writer(self._channel.fileno(), self._write)
            self._writing = True
        elif self._writing and not waiting:
            self._stop_writing()

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._channel.fileno())

    def _lost(self) -> None:
        """Nothing can be sent any more. What the kernel still holds is read all the same: a broker that died may
        have told a publisher that it has a message, and never have saved it. Sent again, it is known as a copy.
        """
        self._mute = True
        failure: Failure | None = None
        for _ in range(LEFT_READS_MAX):
            if self.ended.done():
                break
            try:
                data = self._channel.receive()
            except NothingYet:
                continue
            except Failure as said:
                failure = said
                break
            except OSError:  # BlockingIOError is one: nothing more is there
                break
            if not data:
                break
            self._on_data(data)
        self.fail(failure.detail if failure else "the broker hung up", failure)

    def fail(self, reason: str, failure: Failure | None = None) -> None:
        """Ends it; only the first reason counts."""
        if not self.ended.done():
            self.failure = failure
            self.ended.set_result(reason)
        self._watch()
        self._stop_writing()
        self._on_ended()

    def close(self) -> None:
        self.fail("closed")
        with contextlib.suppress(OSError, Failure):
            self._channel.close()
