"""Restarts what has ended, later each time it ends again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deploy.local.process import Process, ProcessFailed

FIRST_DELAY_S = 0.5
"""Short: most crashes are single."""

DELAY_MAX_S = 30.0
"""A process that cannot start should not keep two cores busy trying."""

STEADY_S = 60.0
"""Running this long, a process has recovered, and its next crash is a first one again."""


@dataclass
class _Watched:
    process: Process
    start: Callable[[], None]
    failures: int = 0
    restart_at: float | None = None
    started_at: float = 0.0


class Watch:
    """The processes that should run, and when to start each again."""

    def __init__(
        self, processes: Mapping[str, tuple[Process, Callable[[], None]]], say: Callable[[str], None]
    ) -> None:
        self._watched = {name: _Watched(process, start) for name, (process, start) in processes.items()}
        self._say = say

    def look(self, now: float) -> None:
        """One round over all; `now` is any clock that only goes forward."""
        for name, watched in self._watched.items():
            watched.process.bound_log()
            if watched.process.running:
                if watched.failures and now - watched.started_at > STEADY_S:
                    watched.failures = 0
            elif watched.restart_at is None:
                delay_s = min(DELAY_MAX_S, FIRST_DELAY_S * 2**watched.failures)
                watched.failures += 1
                watched.restart_at = now + delay_s
                self._say(
                    f"{name} ended with code {watched.process.exit_code}, again in {delay_s:g} s; "
                    f"see {watched.process.log}"
                )
            elif now >= watched.restart_at:
                watched.restart_at = None
                self._restart(name, watched, now)

    def _restart(self, name: str, watched: _Watched, now: float) -> None:
        watched.started_at = now
        try:
            watched.start()
        except ProcessFailed as failure:
            self._say(str(failure))  # ended again: the next look plans another attempt
        else:
            self._say(f"{name} restarted")
