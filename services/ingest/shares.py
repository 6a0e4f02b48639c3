"""Which replica has which link: decided by each for itself, from what all of them see alike. Pure.

Rendezvous hashing (Thaler and Ravishankar, 1998): every replica gives every link the same rank, and when one
comes or goes only the links move that it gets or had.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from services.ingest.links import Key

SETTLED_S = 3.0  # a replica that restarts again and again is given nothing that another has
PASSED_OVER_S = 4.0  # a link that its first choice does not take is anybody's
GIVEN_AT_ONCE = 10  # links that change hands in one turn: their brokers see a connection less and a new one


@dataclass(frozen=True, slots=True)
class Seen:
    """What one replica sees at one moment; times are its own clock's."""

    me: str
    now: float
    replicas: Mapping[str, float]  # those alive: since when they have been seen
    links: Collection[Key]  # that are to be there
    mine: Collection[Key]
    owners: Mapping[Key, str | None]  # of the others, as last claimed; None: given up, or never claimed
    free_since: Mapping[Key, float]  # of links that no living replica has
    trusted: bool = True  # False: who seems dead may only not have been heard while the log was away


@dataclass(frozen=True, slots=True)
class Turn:
    take: list[Key] = field(default_factory=list)
    give: list[Key] = field(default_factory=list)


def first_choice(key: Key, replicas: Collection[str]) -> str:
    """The replica that is to have this link."""
    return max(
        replicas,
        key=lambda replica: blake2b(f"{replica} {key.organization} {key.integration}".encode()).digest(),
    )


def decide(seen: Seen) -> Turn:
    turn = Turn()
    alive = {*seen.replicas, seen.me}
    for key in seen.links:
        if key in seen.mine:
            continue
        owner = seen.owners.get(key)
        if owner == seen.me:  # claimed before, by a request whose answer was lost
            turn.take.append(key)
            continue
        if owner in alive or (owner is not None and not seen.trusted):
            continue
        passed_over = seen.now - seen.free_since.get(key, seen.now) > PASSED_OVER_S
        if passed_over or first_choice(key, alive) == seen.me:
            turn.take.append(key)
    settled = {replica for replica, since in seen.replicas.items() if seen.now - since >= SETTLED_S}
    if settled - {seen.me}:
        settled.add(seen.me)
        given = (key for key in seen.mine if first_choice(key, settled) != seen.me)
        turn.give.extend(key for key, _ in zip(given, range(GIVEN_AT_ONCE), strict=False))
    return turn
