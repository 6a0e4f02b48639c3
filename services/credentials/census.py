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
    by_organization: dict[str, int] = field(default_factory=dict)  # as many as there are client ids
    _clients: dict[str, dict[str, int]] = field(default_factory=dict)  # by credential and client id
    _came_in: dict[str, Traffic] = field(default_factory=dict)
    _ended: dict[Key, float] = field(default_factory=dict)

    def add(self, session: Session) -> None:
        """Let in, or connected; again is harmless."""
        held = self.sessions.get(session.key)
        if held is not None:
            if session.seen and not held.seen:
                held.seen, held.connected_at = True, session.connected_at  # by the server's clock
            return
        if session.key in self._ended:
            return  # the answer of a look that began before it ended
        self.sessions[session.key] = session
        self.by_credential.setdefault(session.credential, {})[session.key] = session
        clients = self._clients.setdefault(session.credential, {})
        clients[session.client_id] = clients.get(session.client_id, 0) + 1
        if clients[session.client_id] == 1:  # else the server ends the old one
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
        self._leave(session)
        return session

    def _leave(self, session: Session) -> None:
        clients = self._clients[session.credential]
        clients[session.client_id] -= 1
        if clients[session.client_id]:
            return
        del clients[session.client_id]
        if not clients:
            del self._clients[session.credential]
        self.by_organization[session.organization] -= 1
        if not self.by_organization[session.organization]:
            del self.by_organization[session.organization]

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

    def connections(self, credential: str) -> int:
        """A new connection takes the place of the old one of its client id: both are one."""
        return len(self._clients.get(credential, {}))

    def holds(self, credential: str, client_id: str) -> bool:
        """Whether this client id is connected."""
        return client_id in self._clients.get(credential, {})

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
