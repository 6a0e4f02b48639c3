"""Who owns a link: its last claim, which stands in the MESSAGES log itself.

Every message of a link is stored on condition that this claim is still the last one. So whatever a former owner
writes after another has claimed the link (it was frozen, or cut off) is refused by the server, not by anybody's
clock; and a new owner that claims first and reads the log then sees all that was ever stored before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client

from contracts import subjects
from contracts.failures import Unavailable
from contracts.streams import MESSAGES
from runtime import jetstream
from runtime.event_log import EXPECTED_LAST, EXPECTED_LAST_SUBJECT
from runtime.jetstream import WRONG_LAST_SEQUENCE, ApiError
from services.ingest.links import Key

REQUEST_S = 2.0
READ_AT_ONCE = 1_000  # the server answers for no more subjects at once


@dataclass(slots=True)
class Claim:
    """This process's claim to one link; `sequence` is where it stands, 0 before it is made."""

    client: Client
    key: Key
    owner: str
    sequence: int = 0

    @property
    def condition(self) -> str:
        """Header lines: a message with them is stored only while this claim is the last."""
        return f"{EXPECTED_LAST}: {self.sequence}\r\n{EXPECTED_LAST_SUBJECT}: {self._subject}\r\n"

    @property
    def _subject(self) -> str:
        return subjects.link_claim(*self.key)

    async def make(self, after: int) -> bool:
        """Claims the link, if the last claim still is the one at `after`. Raises Unavailable("log.unavailable")."""
        return await self._append(self.owner, after)

    async def renew(self) -> bool:
        """A new entry in the old one's place, which grows old with the log. Nothing of ours may be under way."""
        return await self._append(self.owner, self.sequence)

    async def give_up(self) -> None:
        """Lets another begin at once; where this fails, it begins when this process is gone."""
        try:
            await self._append("", self.sequence)
        except Unavailable:
            return
        finally:
            self.sequence = 0

    async def holds(self) -> bool:
        """Whether it is the last one. Raises Unavailable("log.unavailable")."""
        subject = f"$JS.API.DIRECT.GET.{MESSAGES.name}.{self._subject}"
        try:
            held = await self.client.request(subject, b"", timeout=REQUEST_S)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise Unavailable("log.unavailable", f"reading {self._subject}: {error!r}") from error
        return int((held.headers or {}).get("Nats-Sequence", 0)) == self.sequence

    async def _append(self, owner: str, expected: int) -> bool:
        try:
            answer = await jetstream.request(
                self.client,
                self._subject,
                owner.encode(),
                headers={EXPECTED_LAST: str(expected)},
                timeout_s=REQUEST_S,
            )
        except ApiError as error:
            if error.code in WRONG_LAST_SEQUENCE:
                return False
            raise Unavailable("log.unavailable", f"claiming {self._subject}: {error}") from error
        self.sequence = int(answer["seq"])
        return True


async def last_claims(client: Client, keys: Iterable[Key]) -> dict[Key, tuple[str | None, int]]:
    """Owner (None: given up) and sequence of the last claim to each of these links that has one.

    Raises Unavailable("log.unavailable").
    """
    found: dict[Key, tuple[str | None, int]] = {}
    wanted = [subjects.link_claim(*key) for key in keys]
    for start in range(0, len(wanted), READ_AT_ONCE):
        query = {"multi_last": wanted[start : start + READ_AT_ONCE], "batch": READ_AT_ONCE}
        for message in await jetstream.direct_batch(client, MESSAGES.name, query):
            headers = message.headers or {}
            key = Key(*subjects.claimed_link(headers["Nats-Subject"]))
            found[key] = (message.data.decode() or None, int(headers["Nats-Sequence"]))
    return found
