"""Places for what lasts (ingest streams, exports) in this process: bounded in all, and for each organization."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from contracts.failures import Refused, Unavailable

Most = Callable[[], int]


class Places:
    """How many are taken, in all and by each organization."""

    def __init__(self, what: str, most: Most, most_of_one: Most, retry_after_s: int = 2) -> None:
        self._what, self._most, self._most_of_one = what, most, most_of_one
        self._retry_after_s = retry_after_s
        self._taken: Counter[str] = Counter()

    def admit(self, organization: str) -> None:
        """Raises Refused("limit.reached"), Unavailable("service.unavailable")."""
        most = self._most_of_one()
        if self._taken[organization] >= most:
            raise Refused(
                "limit.reached",
                f"an organization may have {most} {self._what} open at once",
                retry_after_s=self._retry_after_s,
            )
        if self._taken.total() >= self._most():
            raise Unavailable("service.unavailable", f"too many {self._what} are open; try again")
        self._taken[organization] += 1

    def leave(self, organization: str) -> None:
        self._taken[organization] -= 1
        if not self._taken[organization]:
            del self._taken[organization]
