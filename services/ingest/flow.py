"""What comes through a link as it comes: counted, and watched."""

from __future__ import annotations

import time

from services.ingest.frames import Incoming
from services.ingest.tally import Tally
from services.ingest.watchdog import Watchdog


class Flow:
    """Lives as long as its link is known to this process."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.watchdog = Watchdog()

    def took(self, chunk: list[Incoming], size: int) -> None:
        """What one read of the socket brought."""
        self.tally.took([message.topic for message in chunk], size, time.time())
        retained = sum([message.retain for message in chunk])
        self.tally.retained += retained
        if retained < len(chunk):
            self.watchdog.heard(time.monotonic())
