"""What a broker allows, as its CONNACK says (5 §3.2.2.3), and what its refusal means. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.failures import Failure, Refused, Unavailable
from services.ingest import packets, reasons
from services.ingest.outgoing import WINDOW_311, WINDOW_MAX
from services.ingest.packets import Connack

SESSION_EXPIRY_S = 7 * 24 * 3600  # an outage of ours over a week-end loses nothing, if the broker agrees


@dataclass(frozen=True, slots=True)
class Limits:
    """As 3.1.1 has them, which says nothing."""

    window: int = WINDOW_311
    qos_max: int = 2
    retain: bool = True
    packet_bytes_max: int | None = None
    keepalive_s: int | None = None  # the broker's own, which then holds in place of ours

    @staticmethod
    def of(answer: Connack) -> Limits:
        return Limits(
            window=max(1, min(answer.number(packets.RECEIVE_MAXIMUM, 65_535), WINDOW_MAX)),
            qos_max=answer.number(packets.MAXIMUM_QOS, 2),
            retain=bool(answer.number(packets.RETAIN_AVAILABLE, 1)),
            packet_bytes_max=answer.number(packets.MAXIMUM_PACKET_SIZE, 0) or None,
            keepalive_s=answer.number(packets.SERVER_KEEP_ALIVE, 0) or None,
        )

    def check(self, qos: int, *, retain: bool) -> None:
        """Raises Refused("broker.refused") for a publish that the broker would hang up on; so does the next."""
        if qos > self.qos_max:
            raise Refused("broker.refused", f"the broker takes QoS {self.qos_max} at most")
        if retain and not self.retain:
            raise Refused("broker.refused", "the broker keeps no retained messages")

    def check_size(self, packet_bytes: int) -> None:
        if self.packet_bytes_max is not None and packet_bytes > self.packet_bytes_max:
            raise Refused(
                "broker.refused", f"the broker takes packets of {self.packet_bytes_max} bytes at most"
            )


def refusal(answer: Connack) -> Failure:
    """What a CONNACK that says no is to us: what passes by itself is tried again soon."""
    family = Unavailable if answer.code in reasons.PASSING else Refused
    return family(reasons.refusal(answer.code), answer.said)
