"""What is weighed at a connect beside who it is: limits, and how many bad ones came from there; pure.

A device with the right password is never refused for what others do: bad connects are counted after the
password was looked at, and looking at it is cheap (a keyed hash).
"""

from __future__ import annotations

from datetime import UTC, datetime

from services.credentials.census import Key, Session
from services.credentials.limiting import Limiter
from services.credentials.meter import Reached
from services.credentials.throttle import Throttle
from services.credentials.user_jwt import Question

BAD = ("connect.unknown", "connect.client_id", "connect.protocol")


class Admission:
    def __init__(self, limiter: Limiter, throttle: Throttle) -> None:
        self._limiter, self._throttle = limiter, throttle

    def worth_waiting(self, asked: Question, now: float) -> bool:
        """Whether a user name that is not known here may be a new one; not from where a flood comes."""
        return not self._throttle.spent(asked.client_info.host, now)

    def refusal(self, asked: Question, organization: str, credential: str, now: float) -> Reached | None:
        """The limit that keeps out whoever proved to be this credential."""
        return self._limiter.refusal(organization, credential, asked.client_info.mqtt_id, now)

    def let_in(self, asked: Question, organization: str, credential: str, now: float) -> None:
        """Counts from this moment on."""
        session = Session(
            key=Key(asked.server_id.id, asked.client_info.id),
            organization=organization,
            credential=credential,
            client_id=asked.client_info.mqtt_id,
            address=asked.client_info.host,
            since=now,
            connected_at=datetime.now(UTC),
        )
        self._limiter.census.add(session)

    def flooded(self, asked: Question, organization: str | None, refused: str, now: float) -> bool:
        """Counts a refused connect. True where there are so many that they are only counted."""
        return refused in BAD and self._throttle.flooded(asked.client_info.host, organization, now)
