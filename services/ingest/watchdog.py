"""Whether messages flow, which is another thing than being connected. Pure; times are seconds of any clock.

A link's rhythm is learnt from its pauses: `pause` is a maximum that decays, so that bursts do not shorten it and
one long pause does not stay for ever. A pause that was called silence is taken in only up to where it began to be
one: an outage teaches little, and a link that really became slower is believed after a few.
"""

from __future__ import annotations

from dataclasses import dataclass

LEARNT_FROM = 8  # pauses; before, nothing is expected
LEARNT_OVER_S = 600.0  # all pauses together: whoever tries a link out with a few messages is no rhythm
TIMES = 3.0  # so many times the longest pause of late is silence
LEAST_S = 60.0  # shorter silences are nobody's business, unless an interval is given
HALVED_AFTER = 50.0  # pauses as long as the longest: then it counts half
GIVEN_TIMES = 2.0  # one message of a given interval may be late
FLOWS_AFTER = 2  # messages without a silence between them: a single one is no flow


@dataclass(slots=True)
class Watchdog:
    """`given_s`: messages are expected at least so often; None: it is learnt."""

    given_s: float | None = None
    silent: bool = False
    _last: float | None = None  # message, or beginning of the connection
    _heard: bool = False  # a message since the connection began
    _pause: float = 0.0
    _pauses: int = 0
    _learnt_s: float = 0.0
    _since_silence: int = 0

    @property
    def expected_s(self) -> float | None:
        """How long a pause may be as things are; None: nothing is known yet."""
        if self.given_s is not None:
            return self.given_s
        known = self._pauses >= LEARNT_FROM and self._learnt_s >= LEARNT_OVER_S
        return self._pause if known else None

    @property
    def silence_s(self) -> float | None:
        """A pause as long as this is silence."""
        if self.given_s is not None:
            return self.given_s * GIVEN_TIMES
        expected = self.expected_s
        return None if expected is None else max(expected * TIMES, LEAST_S)

    def connected(self, now: float) -> None:
        """What was not heard while there was no connection is no silence."""
        self._last, self._heard, self._since_silence = now, False, 0
        self.silent = False

    def heard(self, now: float) -> None:
        """A message, or several at once; retained copies are none."""
        if self._last is None:
            self._last = now
        pause, limit = now - self._last, self.silence_s
        if self._heard:
            self._learn(pause if limit is None else min(pause, limit))
        if self.silent:
            fits = limit is None or pause < limit
            self._since_silence = self._since_silence + 1 if fits and self._since_silence else 1
            self.silent = self._since_silence < FLOWS_AFTER
        self._last, self._heard = now, True

    def look(self, now: float) -> bool:
        """Whether the link is silent now."""
        limit = self.silence_s
        if limit is None or self._last is None:
            self.silent = False
        elif now - self._last >= limit:
            self.silent, self._since_silence = True, 0
        return self.silent

    def _learn(self, pause: float) -> None:
        if pause >= self._pause:
            self._pause = pause
        elif self._pause > 0:
            self._pause = max(pause, self._pause * 0.5 ** (pause / (self._pause * HALVED_AFTER)))
        self._pauses = min(self._pauses + 1, LEARNT_FROM)
        self._learnt_s = min(self._learnt_s + pause, LEARNT_OVER_S)
