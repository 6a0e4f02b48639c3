"""`python -m services.credentials.broker_log`: beside a nats-server, reads its log file and prints it again.

What the server forbade devices stands in that log alone; it is told to the credentials service, which knows whose
devices they are. Nothing else is known here: this process's NATS user may send that one message.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

from contracts.calls import Nothing
from contracts.failures import Failure
from contracts.violations import NOTE_VIOLATIONS, NoteViolations, Violation
from runtime import observe, rpc
from runtime.bus import Bus, connect
from runtime.observe import log
from runtime.settings import BusSettings, load
from services.credentials.log_file import follow
from services.credentials.violations import parse

NAME = "brokerlog"
HELD_MAX = 5_000
"""Of what nobody takes; the oldest go."""
SENT_MAX = 250
"""At once: with their topics they are far below the largest message that NATS carries."""
AGAIN_S = 2.0

_log = log(part="broker log")


class BrokerLogSettings(BusSettings):
    broker_log: Path
    """The `log_file` of the server beside it."""
    broker_log_place: Path
    """Where it is kept how far the log was read, so that a restart neither repeats nor leaves out a line."""
    log_level: str = "INFO"


class Teller:
    """What is to be told, until it is."""

    def __init__(self) -> None:
        self._held: deque[Violation] = deque(maxlen=HELD_MAX)
        self._some = asyncio.Event()
        self._left_out = 0

    def add(self, violation: Violation) -> None:
        self._left_out += len(self._held) == HELD_MAX
        self._held.append(violation)
        self._some.set()

    async def run(self, bus: Bus) -> None:
        """Until cancelled; what is refused or not answered is told again."""
        while True:
            await self._some.wait()
            part = tuple(self._held)[:SENT_MAX]
            try:
                await rpc.call(bus, NOTE_VIOLATIONS, NoteViolations(violations=part))
            except Failure as failure:
                _log.warning("not told yet", error=failure.detail, held=len(self._held))
                await asyncio.sleep(AGAIN_S)
                continue
            for told in part:  # what came meanwhile may have pushed some of them out
                if self._held and self._held[0] is told:
                    self._held.popleft()
            if self._left_out:
                _log.warning("violations were left out", count=self._left_out)
                self._left_out = 0
            if not self._held:
                self._some.clear()


async def read(settings: BrokerLogSettings, teller: Teller, shown: Callable[[str], object]) -> None:
    """Every line is shown, so that the server's log is where one looks for it; until cancelled."""
    async for lines in follow(settings.broker_log, settings.broker_log_place):
        shown("\n".join(lines) + "\n")
        for line in lines:
            if (violation := parse(line)) is not None:
                teller.add(violation)


async def tell(settings: BrokerLogSettings, teller: Teller) -> Nothing:
    """Connected for as long as it can be: the server beside it may take minutes to start."""
    while True:
        try:
            bus = await connect(settings, NAME)
        except OSError as error:
            _log.warning("no connection yet", error=repr(error))
            continue
        telling = asyncio.create_task(teller.run(bus))
        await bus.closed.wait()
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def run(settings: BrokerLogSettings) -> None:
    """Until SIGTERM, which a container of this kind gets after the server has gone: its last lines are read, too."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    teller = Teller()
    tasks = [
        asyncio.create_task(read(settings, teller, _show)),
        asyncio.create_task(tell(settings, teller)),
    ]
    ends = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([*tasks, ends], return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, ends):
        task.cancel()
    await asyncio.gather(*tasks, ends, return_exceptions=True)
    for task in done - {ends}:
        await task  # its failure is the process's


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main() -> None:
    settings = load(BrokerLogSettings)
    observe.set_up(NAME, settings.log_level)
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()
