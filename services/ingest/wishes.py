"""What a publish may ask for beside its delivery, where the connection is MQTT 5 (5 §3.3.2.3)."""

from __future__ import annotations

from typing import NamedTuple

from services.ingest import packets


class Wishes(NamedTuple):
    response_topic: str | None = None
    correlation: bytes | None = None
    expires_in_s: int | None = None  # then the broker forgets it, where nobody has taken it

    def properties(self) -> dict[int, bytes]:
        """By their identifiers."""
        made = {}
        if self.response_topic is not None:
            made[packets.RESPONSE_TOPIC] = self.response_topic.encode()
        if self.correlation is not None:
            made[packets.CORRELATION_DATA] = self.correlation
        if self.expires_in_s is not None:
            made[packets.MESSAGE_EXPIRY] = self.expires_in_s.to_bytes(4, "big")
        return made
