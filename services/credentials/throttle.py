"""Bad connects, by address and by organization: how many are looked into. Good ones never come here; pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

KEYS_MAX = 10_000  # a flood from more addresses than this shares one bucket


@dataclass(frozen=True, slots=True)
class Allowance:
    """`burst` at once, `per_s` for long."""

    burst: float
    per_s: float


ADDRESS = Allowance(burst=20, per_s=2)  # a fleet behind one address with a wrong setting is still seen whole
ORGANIZATION = Allowance(burst=100, per_s=10)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass
class Buckets:
    """A bucket a key, bounded."""

    allowance: Allowance
    keys_max: int = KEYS_MAX
    _held: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)
    _others: _Bucket | None = None

    def take(self, key: str, now: float) -> bool:
        """Whether there was one left."""
        bucket = self._bucket(key, now)
        self._fill(bucket, now)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def spent(self, key: str, now: float) -> bool:
        """Whether none is left; takes none."""
        bucket = self._held.get(key)
        if bucket is None:
            return False
        self._fill(bucket, now)
        return bucket.tokens < 1

    def __len__(self) -> int:
        return len(self._held)

    def _bucket(self, key: str, now: float) -> _Bucket:
        bucket = self._held.get(key)
        if bucket is not None:
            self._held.move_to_end(key)
            return bucket
        if len(self._held) >= self.keys_max:
            oldest = next(iter(self._held.values()))
            self._fill(oldest, now)
            if oldest.tokens < self.allowance.burst:  # still remembered for a reason
                self._others = self._others or _Bucket(self.allowance.burst, now)
                return self._others
            self._held.popitem(last=False)
        bucket = self._held[key] = _Bucket(self.allowance.burst, now)
        return bucket

    def _fill(self, bucket: _Bucket, now: float) -> None:
        passed = max(0.0, now - bucket.at)
        bucket.tokens = min(self.allowance.burst, bucket.tokens + passed * self.allowance.per_s)
        bucket.at = now


@dataclass
class Throttle:
    """One replica's."""

    addresses: Buckets = field(default_factory=lambda: Buckets(ADDRESS))
    organizations: Buckets = field(default_factory=lambda: Buckets(ORGANIZATION))

    def spent(self, address: str, now: float) -> bool:
        """Whether a user name that nobody knows is, from here, not worth a second look."""
        return self.addresses.spent(address, now)

    def flooded(self, address: str, organization: str | None, now: float) -> bool:
        """Counts a bad connect. True: too many by now, which are told of as a number alone."""
        address_over = not self.addresses.take(address, now)
        organization_over = organization is not None and not self.organizations.take(organization, now)
        return address_over or organization_over
