"""Answers that devices wait for, once their message is in the log: QoS 0, over the link's own connection.

Only a link whose decoder has replies looks into its messages. A reply that the broker does not take is dropped
and counted: the device sends its report again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from contracts import decoders
from contracts.decoders import Replying
from runtime.observe import log
from services.ingest import metrics
from services.ingest.frames import Incoming
from services.ingest.session import Session

_log = log(part="replies")
WAITING_MAX = 1_000  # until the next turn of the event loop: two batches of the log
UNSENT_BYTES_MAX = 256 * 1024  # in our socket's buffer: the broker reads too slowly

Hook = Callable[[Session, Incoming], None]


def replies_for(decoder: str) -> bool:
    """Whether devices behind this decoder wait for replies."""
    held: object = decoders.REGISTRY.get(decoder)
    return isinstance(held, Replying)


class Replies:
    def __init__(self, session: Callable[[], Session | None]) -> None:
        """`session`: the link's present one, for a message whose own is over."""
        self._session = session
        self._waiting: list[tuple[Session, str, bytes]] = []

    def hook(self, decoder: str) -> Hook | None:
        """What is to be called with each stored message; None where nobody waits for a reply."""
        if not replies_for(decoder):
            return None

        def on_stored(session: Session, message: Incoming) -> None:
            try:
                self._take(decoder, session, message)
            except Exception:  # noqa: BLE001 — a defect: the log's other messages must not suffer
                _log.exception("a reply could not be made")

        return on_stored

    def _take(self, decoder: str, came_by: Session, message: Incoming) -> None:
        if message.retain or message.payload is None:
            return  # a copy that the broker kept: its device does not wait
        reply = decoders.reply(decoder, message.topic, message.payload)
        if reply is None:
            return
        session = came_by if not came_by.ended.done() else self._session()
        if session is None or len(self._waiting) >= WAITING_MAX or session.unsent > UNSENT_BYTES_MAX:
            metrics.replies.add(1, {"outcome": "dropped"})
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._send)
        self._waiting.append((session, reply.topic, reply.payload))

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for session in dict.fromkeys(session for session, _, _ in waiting):
            session.post([(topic, payload) for whose, topic, payload in waiting if whose is session])
        metrics.replies.add(len(waiting), {"outcome": "sent"})
