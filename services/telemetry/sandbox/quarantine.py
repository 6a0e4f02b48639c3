"""Who has misbehaved rests for a while: decisions, with the time as an argument.

A strike is a message that a worker died of. The second one within ten minutes puts the rule to rest; so does one at
all within ten minutes of its return. Each organization has an allowance of CPU time, which refills; who used it up
rests as a whole where workers died, and else the rule that did it. A rest lasts a minute, and twice as long as the
last one where that was not long ago.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

STRIKES_MAX = 2
REMEMBERED_S = 600.0
REST_S, REST_MAX_S = 60.0, 3600.0
ENTRIES_MAX = (
    10_000  # rules and organizations remembered; the one that was quiet for longest is forgotten first
)


class Rule(NamedTuple):
    """What is quarantined. `digest` names language and source."""

    organization: str
    digest: str


class Allowance(NamedTuple):
    """CPU time of an organization's rules."""

    message_s: float = 0.0001
    """For each message: several times what a usual rule takes."""
    byte_s: float = 0.000_000_5
    """And for each byte of its payload: three times what reading a large one takes."""
    burst_s: float = 0.4
    """Two strikes take 0.3."""
    share: float = 0.01
    """Of a core, whatever comes: what a hostile tenant can take in the long run."""


class Change(NamedTuple):
    """Who goes to rest (`why`, for `rest_s`), or comes back (`why` is None)."""

    organization: str
    digest: str | None  # None: all of the organization's rules
    why: str | None
    rest_s: float = 0.0


class _Entry:
    __slots__ = ("resting", "rests_s", "strikes", "until", "why")

    def __init__(self) -> None:
        self.strikes: list[float] = []
        self.resting = False
        self.until = 0.0  # when the rest ends, or ended
        self.rests_s = 0.0  # how long it lasts, or lasted
        self.why = ""


class Quarantine:
    def __init__(self, allowance: Allowance = Allowance()) -> None:
        self._allowance = allowance
        self._entries: OrderedDict[tuple[str, str | None], _Entry] = OrderedDict()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # CPU seconds, and as of when
        self.changes: list[Change] = []
        """To be told; whoever tells them empties it."""

    def why(self, rule: Rule, now: float) -> str | None:
        """Why it rests, in words; None where it may run."""
        for digest in (None, rule.digest):
            entry = self._entries.get((rule.organization, digest))
            if entry is None or not entry.resting:
                continue
            if now < entry.until:
                return f"{entry.why}; it rests for another {entry.until - now:.0f} s"
            entry.resting = False
            self.changes.append(Change(rule.organization, digest, None))
        return None

    def ran(self, rule: Rule, messages: int, payload_bytes: int, cpu_s: float, now: float) -> None:
        """A turn that ended well."""
        allowed_s = messages * self._allowance.message_s + payload_bytes * self._allowance.byte_s
        left = self._charge(rule.organization, cpu_s - allowed_s, now)
        if left < 0 and cpu_s > allowed_s:
            each, allowed = cpu_s / messages * 1e6, allowed_s / messages * 1e6
            self._rest(
                rule.organization,
                rule.digest,
                f"it takes {each:.0f} µs a message, where {allowed:.0f} are allowed",
                now,
            )

    def died(self, rule: Rule, why: str, cpu_s: float, now: float) -> None:
        """A worker, of one of its messages."""
        left = self._charge(rule.organization, cpu_s, now)
        entry = self._entry(rule.organization, rule.digest)
        entry.strikes = [at for at in entry.strikes if now - at < REMEMBERED_S] + [now]
        came_back = entry.until and now - entry.until < REMEMBERED_S
        if came_back or len(entry.strikes) >= STRIKES_MAX:
            self._rest(rule.organization, rule.digest, why, now)
        if left < 0:
            self._rest(
                rule.organization,
                None,
                f"the organization's expressions used up their CPU time; the last: {why}",
                now,
            )

    def _rest(self, organization: str, digest: str | None, why: str, now: float) -> None:
        entry = self._entry(organization, digest)
        again = entry.rests_s and now - entry.until < REMEMBERED_S
        entry.rests_s = min(entry.rests_s * 2, REST_MAX_S) if again else REST_S
        entry.resting, entry.until, entry.why, entry.strikes = True, now + entry.rests_s, why, []
        self.changes.append(Change(organization, digest, why, entry.rests_s))

    def _entry(self, organization: str, digest: str | None) -> _Entry:
        entry = self._entries.setdefault((organization, digest), _Entry())
        self._entries.move_to_end((organization, digest))
        if len(self._entries) > ENTRIES_MAX:
            self._entries.popitem(last=False)
        return entry

    def _charge(self, organization: str, cpu_s: float, now: float) -> float:
        """What is left afterwards."""
        left, at = self._left.pop(organization, (self._allowance.burst_s, now))
        left = min(left + (now - at) * self._allowance.share - cpu_s, self._allowance.burst_s)
        self._left[organization] = (left, now)
        if len(self._left) > ENTRIES_MAX:
            self._left.popitem(last=False)
        return left
