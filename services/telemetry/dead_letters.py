"""Undecodable messages into DEADLETTERS, before the transaction that passes over them commits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from contracts import dead_letters, subjects
from contracts.failures import CODES, Unavailable
from contracts.streams import PAYLOAD_BYTES_MAX
from runtime.log_writer import MESSAGE_ID, LogWriter
from runtime.observe import from_zero, log, meter
from services.telemetry.decoding import Failed

_log = log(part="dead letters")
_written = meter.create_counter(
    "hybridmq.dead.letters", description="Messages that could not be decoded, by reason"
)
OF_DECODERS = ("decoder", "metric", "path", "payload", "topic", "value")
from_zero(_written, *({"reason": code} for code in CODES if code.partition(".")[0] in OF_DECODERS))


def _fitting(payload: bytes) -> bytes:
    """The payload, or nothing of one that is over the limit: MESSAGES has it, where the headers say."""
    return payload if len(payload) <= PAYLOAD_BYTES_MAX else b""


class DeadLetters:
    """A crash in between writes the same ones again; their ids make that no second one."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    async def write(self, failed: Sequence[Failed], stream_created: str) -> None:
        """Returns when the stream has all of them; Unavailable("log.unavailable") where it takes none now."""
        waiting = []
        for one in failed:
            row = one.row
            headers = dead_letters.headers(
                stream_created=stream_created,
                sequence=row.sequence,
                subject=one.entry.subject,
                source=row.source,
                topic=row.topic,
                received=row.received,
                stored_ns=one.entry.time_ns,
                decoder=one.decoder,
                reason=row.failure or "internal",
                detail=one.detail,
            )
            headers[MESSAGE_ID] = f"{stream_created}-{row.sequence}"
            subject = subjects.deadletter(row.organization, row.source)
            while True:
                try:
                    waiting.append(self._writer.write(subject, headers, _fitting(row.payload)))
                    break
                except Unavailable:  # its queue is full: memory stays bounded, and we wait with it
                    if not waiting:
                        raise
                    await asyncio.gather(*waiting)
                    waiting.clear()
        await asyncio.gather(*waiting)
        for reason, count in Counter(one.row.failure or "internal" for one in failed).items():
            _written.add(count, {"reason": reason})
        if failed:
            _log.warning(
                "dead letters", count=len(failed), first=failed[0].row.failure, detail=failed[0].detail
            )
