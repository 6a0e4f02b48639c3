"""Rates of what comes in, and who is over a limit for how long; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from contracts.limits import LimitName, Limits
from services.credentials.census import Census, Traffic

Scope = Literal["organization", "credential"]
SUSTAINED = 3  # looks in a row: a burst after a reconnect is none


class Use(NamedTuple):
    """What is done now."""

    messages_per_s: float = 0.0
    bytes_per_s: float = 0.0
    subscriptions: int = 0


class Reached(NamedTuple):
    """A limit, and what it met."""

    scope: Scope
    limit: LimitName
    allowed: int
    current: float

    @property
    def words(self) -> str:
        return f"{self.limit} of the {self.scope}: {self.current:.0f}, at most {self.allowed} are allowed"


class Excess(NamedTuple):
    """A credential to be held back: it is over its limit, or the most of an organization that is."""

    organization: str
    credential: str
    reached: Reached


NONE = Traffic()
MEASURED: tuple[LimitName, ...] = ("messages_per_s", "bytes_per_s", "subscriptions")
LimitsOf = Callable[[str], Limits]
"""By the id of an organization or a credential."""


@dataclass
class Meter:
    """Fed after each look at the connections."""

    credentials: dict[str, Use] = field(default_factory=dict)
    organizations: dict[str, Use] = field(default_factory=dict)
    _streaks: dict[tuple[str, LimitName], int] = field(default_factory=dict)

    def measure(self, census: Census, seconds: float, owners: Mapping[str, str]) -> None:
        """`owners`: organizations by credential. What came in since the last time counts."""
        came_in = census.take_traffic()
        subscriptions: dict[str, int] = {}
        for session in list(census.sessions.values()):  # at once: connects go on meanwhile
            if session.subscriptions:
                held = subscriptions.get(session.credential, 0)
                subscriptions[session.credential] = held + session.subscriptions
        uses: dict[str, Use] = {}
        totals: dict[str, list[float]] = {}
        for credential in came_in.keys() | subscriptions.keys():
            owner = owners.get(credential)
            if owner is None:
                continue
            traffic, count = came_in.get(credential, NONE), subscriptions.get(credential, 0)
            messages, size = traffic.messages / seconds, traffic.bytes / seconds
            uses[credential] = Use(messages, size, count)
            total = totals.get(owner)
            if total is None:
                total = totals[owner] = [0.0, 0.0, 0]
            total[0] += messages
            total[1] += size
            total[2] += count
        self.credentials = uses
        self.organizations = {owner: Use(m, b, int(count)) for owner, (m, b, count) in totals.items()}

    def excesses(
        self, owners: Mapping[str, str], of_organization: LimitsOf, of_credential: LimitsOf
    ) -> list[Excess]:
        """Who has been over a limit for `SUSTAINED` looks."""
        streaks: dict[tuple[str, LimitName], int] = {}
        found: list[Excess] = []
        for credential, use in self.credentials.items():
            if over := self._over("credential", credential, use, of_credential(credential), streaks):
                found += [Excess(owners[credential], credential, reached) for reached in over]
        for organization, use in self.organizations.items():
            for reached in self._over(
                "organization", organization, use, of_organization(organization), streaks
            ):
                heaviest = max(
                    (each for each in self.credentials if owners.get(each) == organization),
                    key=lambda each: getattr(self.credentials[each], reached.limit),
                )
                found.append(Excess(organization, heaviest, reached))
        self._streaks = streaks
        return found

    def _over(
        self,
        scope: Scope,
        id: str,
        use: Use,
        limits: Limits,
        streaks: dict[tuple[str, LimitName], int],
    ) -> list[Reached]:
        messages, size, subscriptions = use
        fine = (
            (limits.messages_per_s is None or messages <= limits.messages_per_s)
            and (limits.bytes_per_s is None or size <= limits.bytes_per_s)
            and (limits.subscriptions is None or subscriptions <= limits.subscriptions)
        )
        if fine:  # nearly everybody, each time
            return []
        found: list[Reached] = []
        for name in MEASURED:
            allowed: int | None = getattr(limits, name)
            current: float = getattr(use, name)
            if allowed is None or current <= allowed:
                continue
            streak = self._streaks.get((id, name), 0) + 1
            streaks[id, name] = streak
            if streak >= SUSTAINED:
                found.append(Reached(scope, name, allowed, current))
        return found
