"""Who is connected, in memory: exact between two looks at the servers by their events; pure.

A connect that was just let in counts at once, so that a burst cannot pass a limit before its events come.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from services.credentials.connz import Open

ARRIVAL_S = 5.0  # a connect that was let in and is not seen by then did not come
MISSED_MAX = 2  # looks in a row that a connection was not on
ENDED_KEPT_S = 10.0  # longer than a look takes, which may have begun before the end


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
    look: int = 0  # the last one that it was on
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
    _looks: int = 1

    def add(self, session: Session) -> None:
        """Let in, or connected; again is harmless."""
        held = self.sessions.get(session.key)
        if held is not None:
            if session.seen and not held.seen:
                held.seen, held.connected_at = True, session.connected_at  # by the server's clock
            return
        if session.key in self._ended:
            return  # told of by a look that began before it ended
        session.look = self._looks - 1
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

    def see(self, server: str, connections: Iterable[Open]) -> list[Open]:
        """Counts of connections that are there, before `seen`; those that nobody has told of are returned."""
        unknown: list[Open] = []
        sessions, looks = self.sessions, self._looks
        for one in connections:
            key = Key(server, one.cid)
            session = sessions.get(key)
            if session is None:
                if key not in self._ended:
                    unknown.append(one)
                continue
            session.seen, session.look = True, looks
            session.subscriptions = one.subscriptions
            if one.in_msgs > session.messages_in or one.in_bytes > session.bytes_in:
                self._count(session, one.in_msgs, one.in_bytes)
        return unknown

    def seen(self, now: float) -> None:
        """Everything has been looked at: what was on none of the last looks has gone."""
        gone = [
            key
            for key, session in self.sessions.items()
            if session.look <= self._looks - MISSED_MAX and now - session.since >= ARRIVAL_S
        ]
        self._looks += 1
        for key in gone:
            self.end(key, now)
        self._ended = {key: at for key, at in self._ended.items() if now - at <= ENDED_KEPT_S}

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
        traffic = self._came_in.get(session.credential)
        if traffic is None:
            traffic = self._came_in[session.credential] = Traffic()
        traffic.messages += max(0, messages_in - session.messages_in)
        traffic.bytes += max(0, bytes_in - session.bytes_in)
        session.messages_in = max(messages_in, session.messages_in)
        session.bytes_in = max(bytes_in, session.bytes_in)
