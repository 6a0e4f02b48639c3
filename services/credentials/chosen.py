"""Passwords that people chose: argon2id, off the event loop, and once for each in a reconnect storm.

A verification costs some 20 ms of a core and 19 MiB (OWASP's parameters), so who comes back is known by a keyed
hash of what it said and of the verifier: in memory alone, and of no use after the password changes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from contracts.failures import Unavailable
from services.credentials.hashing import Hashing

SCHEME = "argon2id:"
THREADS = 1  # of two cores: the callout goes on beside it
WAITING_MAX = 500  # about ten seconds of work; above it a device comes again
KEPT_MAX = 50_000  # outcomes, right and wrong: some 10 MB


class ChosenPasswords:
    def __init__(self, hashing: Hashing) -> None:
        self._hashing = hashing
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._kept: OrderedDict[str, bool] = OrderedDict()
        self._flying: dict[str, asyncio.Future[bool]] = {}

    async def verifier(self, password: str) -> str:
        """What the log keeps in the password's place."""
        hashed = await asyncio.get_running_loop().run_in_executor(self._pool, self._hasher.hash, password)
        return SCHEME + hashed

    def known(self, password: str, verifier: str) -> bool | None:
        """Whether it is the password, from memory; None where that must be found out first."""
        key = self._key(password, verifier)
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    async def find_out(self, password: str, verifier: str) -> None:
        """Afterwards it is `known`. All who ask the same share one answer. Raises Unavailable when too many wait."""
        key = self._key(password, verifier)
        if key in self._kept:
            return
        flying = self._flying.get(key)
        if flying is None:
            if len(self._flying) >= WAITING_MAX:
                raise Unavailable("service.unavailable", "too many passwords wait to be verified; try again")
            loop = asyncio.get_running_loop()
            flying = self._flying[key] = loop.run_in_executor(self._pool, self._verify, password, verifier)
            flying.add_done_callback(lambda done: self._keep(key, done))
        await asyncio.shield(flying)

    def _verify(self, password: str, verifier: str) -> bool:
        try:
            return self._hasher.verify(verifier.removeprefix(SCHEME), password)
        except (Argon2Error, InvalidHashError):
            return False

    def _keep(self, key: str, done: asyncio.Future[bool]) -> None:
        del self._flying[key]
        if done.cancelled() or done.exception() is not None:
            return
        self._kept[key] = done.result()
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)

    def _key(self, password: str, verifier: str) -> str:
        return self._hashing.digest(f"chosen\0{verifier}\0{password}")
