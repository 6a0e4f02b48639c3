"""What a publish may ask for beside its delivery, where the connection is MQTT 5 (5 §3.3.2.3)."""

from __future__ import annotations

from typing import NamedTuple

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


class Wishes(NamedTuple):
    response_topic: str | None = None
    correlation: bytes | None = None
    expires_in_s: int | None = None  # then the broker forgets it, where nobody has taken it

    def properties(self) -> Properties:
        made = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if self.response_topic is not None:
            made.ResponseTopic = self.response_topic
        if self.correlation is not None:
            made.CorrelationData = self.correlation
        if self.expires_in_s is not None:
            made.MessageExpiryInterval = self.expires_in_s
        return made
