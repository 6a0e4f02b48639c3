"""Rates of what comes in, and who is over a limit for how long; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from contracts.limits import LimitName, Limits
from services.credentials.census import Census

Scope = Literal["organization", "credential"]
SUSTAINED = 3  # looks in a row: a burst after a reconnect is none


class Use(NamedTuple):
    """What is done now."""

    messages_per_s: float = 0.0
    bytes_per_s: float = 0.0
    subscriptions: int = 0

    def __add__(self, other: Use) -> Use:  # type: ignore[override]
        return Use(
            self.messages_per_s + other.messages_per_s,
            self.bytes_per_s + other.bytes_per_s,
            self.subscriptions + other.subscriptions,
        )


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
        uses = {
            credential: Use(traffic.messages / seconds, traffic.bytes / seconds)
            for credential, traffic in census.take_traffic().items()
        }
        for credential, sessions in census.by_credential.items():
            subscriptions = sum(session.subscriptions for session in sessions.values())
            if subscriptions:
                uses[credential] = uses.get(credential, Use()) + Use(subscriptions=subscriptions)
        totals: dict[str, Use] = {}
        for credential, use in uses.items():
            if (owner := owners.get(credential)) is not None:
                totals[owner] = totals.get(owner, Use()) + use
        self.credentials, self.organizations = uses, totals

    def excesses(
        self, owners: Mapping[str, str], of_organization: LimitsOf, of_credential: LimitsOf
    ) -> list[Excess]:
        """Who has been over a limit for `SUSTAINED` looks."""
        streaks: dict[tuple[str, LimitName], int] = {}
        found: list[Excess] = []
        for credential, use in self.credentials.items():
            if (owner := owners.get(credential)) is None:
                continue
            over = self._over("credential", credential, use, of_credential(credential), streaks)
            found += [Excess(owner, credential, reached) for reached in over]
        for organization, use in self.organizations.items():
            limits = of_organization(organization)
            for reached in self._over("organization", organization, use, limits, streaks):
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
        found = []
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
