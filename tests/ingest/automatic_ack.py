"""The ingest service with one thing wrong: it acknowledges on receipt. The ledger must be able to see it."""

import sys

from runtime.service import main
from services.ingest.__main__ import run
from services.ingest.bridge import Bridge
from services.ingest.frames import Incoming
from services.ingest.session import Session


class Hasty(Bridge):
    def take(self, session: Session, chunk: list[Incoming]) -> None:
        session.acknowledge((message.mid, message.qos) for message in chunk if message.qos)
        super().take(session, chunk)

    def _acknowledge(self, session: Session, mid: int, qos: int) -> None:
        """It is done already."""


if __name__ == "__main__":
    setattr(sys.modules["services.ingest.manager"], "Bridge", Hasty)  # noqa: B010 — the type differs
    main(run)
