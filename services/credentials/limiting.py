"""Who may do how much on the hosted broker, decided from memory; what is set, by `limit_handlers`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from contracts.limits import Limits
from services.credentials.census import Census
from services.credentials.directory import Directory
from services.credentials.meter import Excess, Meter, Reached
from services.credentials.states.organization import NO_LIMITS


class Held(NamedTuple):
    """Kept out until then, for this."""

    until: float
    reached: Reached


class Defaults(NamedTuple):
    """The platform's, where nothing is set."""

    organization: Limits
    credential: Limits


class Limiter:
    """The limits of every organization and credential, and who is held back for now."""

    def __init__(self, directory: Directory, census: Census, defaults: Defaults) -> None:
        self._directory, self.census, self.defaults = directory, census, defaults
        self._held: dict[str, Held] = {}
        self.meter = Meter()
        self.measured_at: datetime | None = None

    def organization(self, id: str) -> Limits:
        entry = self._directory.organizations.by_id.get(id)
        own = entry.state.limits if entry is not None else NO_LIMITS
        return self.defaults.organization if own is NO_LIMITS else _over(own, self.defaults.organization)

    def credential(self, id: str) -> Limits:
        entry = self._directory.credentials.by_id.get(id)
        own = entry.state.limits if entry is not None else NO_LIMITS
        return self.defaults.credential if own is NO_LIMITS else _over(own, self.defaults.credential)

    def refusal(self, organization: str, credential: str, client_id: str, now: float) -> Reached | None:
        """What keeps this connect out. One that takes its client id's old place adds none."""
        held = self._held.get(credential)
        if held is not None:
            if held.until > now:
                return held.reached
            del self._held[credential]
        if self.census.holds(credential, client_id):
            return None
        current, allowed = self.census.connections(credential), self.credential(credential).connections
        if allowed is not None and current >= allowed:
            return Reached("credential", "connections", allowed, current)
        current = self.census.by_organization.get(organization, 0)
        allowed = self.organization(organization).connections
        if allowed is not None and current >= allowed:
            return Reached("organization", "connections", allowed, current)
        return None

    def measure(self, seconds: float, at: datetime) -> list[Excess]:
        """Who has been over a measured limit for long, and is not held back yet."""
        owners = Owners(self._directory)
        self.meter.measure(self.census, seconds, owners)
        self.measured_at = at
        found = self.meter.excesses(owners, self.organization, self.credential)
        return [excess for excess in found if excess.credential not in self._held]

    def hold(self, credential: str, reached: Reached, until: float) -> None:
        self._held[credential] = Held(until, reached)

    def release(self, now: float) -> None:
        """Forgets those whose time is over."""
        self._held = {credential: held for credential, held in self._held.items() if held.until > now}


@lru_cache(maxsize=4096)  # asked at each connect
def _over(own: Limits, default: Limits) -> Limits:
    return own.over(default)


class Owners(Mapping[str, str]):
    """Organizations by credential."""

    def __init__(self, directory: Directory) -> None:
        self._by_id = directory.credentials.by_id

    def __getitem__(self, credential: str) -> str:
        return self._by_id[credential].organization

    def get(self, credential: str, default: Any = None) -> Any:
        entry = self._by_id.get(credential)
        return default if entry is None else entry.organization

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)
