"""How long to wait before the next try to connect."""

from __future__ import annotations

from collections.abc import Callable

FIRST_S = 0.5
REFUSED_FIRST_S = 30.0  # wrong credentials do not mend themselves, and brokers ban who insists
LONGEST_S = 60.0


def delay(attempt: int, *, refused: bool, random: Callable[[], float]) -> float:
    """Seconds before try number `attempt` (0: the first retry): exponential, with full jitter.

    A refusal waits at least half its time: full jitter would at times insist at once.
    """
    if refused:
        ceiling = min(REFUSED_FIRST_S * 2.0 ** min(attempt, 10), LONGEST_S)
        return ceiling * (0.5 + random() / 2)
    return min(FIRST_S * 2.0 ** min(attempt, 10), LONGEST_S) * random()
