"""Asks whoever runs the broker to write its dynamic security anew and to start it again."""

from __future__ import annotations

import time
from pathlib import Path

from runtime.observe import log

_log = log(part="mosquitto")
EVERY_S = 60.0  # each costs every device its connection


class Restore:
    """`file` None: nobody looks for it, so that a person must."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._asked_at = float("-inf")

    def ask(self, why: str) -> bool:
        """Whether somebody was asked; not more than once a minute."""
        if time.monotonic() - self._asked_at < EVERY_S:
            return False
        self._asked_at = time.monotonic()
        if self._file is None:
            _log.error(
                "the hosted broker must be restored: start it anew with a file from the registry", reason=why
            )
            return False
        _log.warning("a restore of the hosted broker is asked for", reason=why)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(why)
        return True
