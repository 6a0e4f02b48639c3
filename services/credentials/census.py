"""Who is connected, in memory: exact between two looks at the servers by their events; pure.

A connect that was just let in counts at once, so that a burst cannot pass a limit before its events come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from services.credentials.connz import Open

ARRIVAL_S = 5.0  # a connect that was let in and is not seen by then did not come
MISSED_MAX = 2  # looks in a row that a connection was not on


class Key(NamedTuple):
    server: str
    cid: int


@dataclass(slots=True)
class Session:
    """One connection; `seen` is false until the server has spoken of it."""

    key: Key
    organization: str
    credential: str
    client_id: str
    address: str
    since: float  # on the clock of whoever calls
    connected_at: datetime
    seen: bool = False
    missed: int = 0
    messages_in: int = 0
    bytes_in: int = 0
    subscriptions: int = 0


@dataclass(slots=True)
class Traffic:
    """What came in from a credential since it was last asked for."""

    messages: int = 0
    bytes: int = 0


@dataclass
class Census:
    """Connections of all servers."""

    sessions: dict[Key, Session] = field(default_factory=dict)
    by_credential: dict[str, dict[Key, Session]] = field(default_factory=dict)
    by_organization: dict[str, int] = field(default_factory=dict)
    _came_in: dict[str, Traffic] = field(default_factory=dict)
    _ended: dict[Key, float] = field(default_factory=dict)

    def add(self, session: Session) -> None:
        """Let in, or connected; again is harmless."""
        held = self.sessions.get(session.key)
        if held is not None:
            held.seen = held.seen or session.seen
            return
        if session.key in self._ended:
            return  # the answer of a look that began before it ended
        self.sessions[session.key] = session
        self.by_credential.setdefault(session.credential, {})[session.key] = session
        self.by_organization[session.organization] = self.by_organization.get(session.organization, 0) + 1

    def end(self, key: Key, now: float, messages_in: int = 0, bytes_in: int = 0) -> Session | None:
        """Disconnected, with its last counts."""
        self._ended[key] = now
        session = self.sessions.pop(key, None)
        if session is None:
            return None
        self._count(session, messages_in, bytes_in)
        held = self.by_credential[session.credential]
        del held[key]
        if not held:
            del self.by_credential[session.credential]
        left = self.by_organization[session.organization] - 1
        self.by_organization[session.organization] = left
        if not left:
            del self.by_organization[session.organization]
        return session

    def look(self, servers: Mapping[str, Iterable[Open]], now: float) -> None:
        """Counts of what is there; what is no longer there has gone. Those not known yet: `unknown`."""
        there: set[Key] = set()
        for server, connections in servers.items():
            for one in connections:
                key = Key(server, one.cid)
                there.add(key)
                if (session := self.sessions.get(key)) is not None:
                    session.seen, session.missed = True, 0
                    session.subscriptions = one.subscriptions
                    self._count(session, one.in_msgs, one.in_bytes)
        for key, session in list(self.sessions.items()):
            if key in there or now - session.since < ARRIVAL_S:
                continue
            session.missed += 1
            if session.missed >= MISSED_MAX:
                self.end(key, now)
        for key, at in list(self._ended.items()):
            if now - at > ARRIVAL_S and key not in there:
                del self._ended[key]

    def unknown(self, servers: Mapping[str, Iterable[Open]]) -> list[tuple[Key, Open]]:
        """Those of a look that nobody has told of."""
        return [
            (key, one)
            for server, connections in servers.items()
            for one in connections
            if (key := Key(server, one.cid)) not in self.sessions and key not in self._ended
        ]

    def others(self, credential: str, client_id: str) -> int:
        """Connections of a credential besides this client id's, whose new one takes the old one's place."""
        return sum(one.client_id != client_id for one in self.by_credential.get(credential, {}).values())

    def taken_over(self, credential: str, client_id: str) -> int:
        """How many the new one of this client id replaces."""
        return len(self.by_credential.get(credential, {})) - self.others(credential, client_id)

    def take_traffic(self) -> dict[str, Traffic]:
        """By credential, since it was last taken."""
        taken, self._came_in = self._came_in, {}
        return taken

    def _count(self, session: Session, messages_in: int, bytes_in: int) -> None:
        if messages_in > session.messages_in or bytes_in > session.bytes_in:
            traffic = self._came_in.setdefault(session.credential, Traffic())
            traffic.messages += max(0, messages_in - session.messages_in)
            traffic.bytes += max(0, bytes_in - session.bytes_in)
            session.messages_in, session.bytes_in = messages_in, bytes_in
