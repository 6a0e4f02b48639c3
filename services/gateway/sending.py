"""Messages that came by HTTP, on their way into the log: checked, metered, written, recognised when sent again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import BaseModel
from uuid_utils import uuid7

from contracts import messages, subjects
from contracts.failures import Failure, Refused, Unavailable
from contracts.organizations import Principal
from contracts.streams import MESSAGES
from contracts.topics import device_of
from runtime import jetstream
from runtime.log_writer import MESSAGE_ID, Stored
from runtime.observe import traceparent
from services.gateway.ingest_body import Message, read
from services.gateway.problems import FieldError, Invalid, Problem, problem
from services.gateway.state import Gateway


class Accepted(BaseModel):
    """In the log, at `sequence`; `duplicate`: it was there already, by its `id` or its Idempotency-Key."""

    sequence: int
    duplicate: bool = False


class LineResult(BaseModel):
    """What became of a line (of a batch: of a member, from 1): stored at `sequence`, or refused by `error`."""

    line: int
    sequence: int | None = None
    duplicate: bool = False
    error: Problem | None = None


class Sender:
    """Writes one request's messages."""

    def __init__(self, gateway: Gateway, caller: Principal, *, is_device: bool, command: str | None) -> None:
        self._gateway, self._caller, self._is_device, self._command = gateway, caller, is_device, command
        self._digest = ""  # of all that the request holds, where it has an Idempotency-Key
        self._marked = False  # whether the message that was submitted last bears it

    async def one(self, body: bytes) -> Accepted:
        """Raises what `submit` raises, Refused("idempotency.reused"), and Unavailable where the log did not take it."""
        self._digest = self._digest_of([body])
        [(sequence, duplicate)] = await self._stored([self.submit(body, 1, first=True)])
        if duplicate and self._marked:
            await self._line_of(sequence)
        return Accepted(sequence=sequence, duplicate=duplicate)

    async def lines(self, numbered: Iterable[tuple[int, bytes]]) -> list[LineResult]:
        """Raises Invalid when no line at all can be taken, Unavailable when the log takes none, and
        Refused("idempotency.reused"), before any line is stored."""
        numbered = list(numbered)
        self._digest = self._digest_of(line for _, line in numbered)
        results: list[LineResult] = []
        waiting: list[tuple[LineResult, asyncio.Future[Stored]]] = []
        known: dict[int, int] = {}  # sequences, by the line that bears the request's mark
        for number, line in numbered:
            result = LineResult(line=number)
            results.append(result)
            if number in known:
                result.sequence, result.duplicate = known[number], True
                continue
            try:
                if self._command is None or waiting or known:
                    waiting.append((result, self.submit(line, number)))
                    continue
                future = self.submit(line, number, first=True)
            except Refused as refused:
                result.error = Problem.model_validate(problem(refused))
                continue
            [(sequence, duplicate)] = await self._stored([future])
            marked = await self._line_of(sequence) if duplicate and self._marked else number
            known[marked] = sequence
            if marked == number:
                result.sequence, result.duplicate = sequence, duplicate
            else:  # when it was sent first, another line went first
                waiting.append((result, self.submit(line, number)))
        if not waiting and not known:
            raise Invalid([error for result in results for error in _errors(result)], code=_code(results))
        stored = await self._stored([future for _, future in waiting])
        for (result, _), (sequence, duplicate) in zip(waiting, stored, strict=True):
            result.sequence, result.duplicate = sequence, duplicate
        return results

    def submit(self, body: bytes, line: int, *, first: bool = False) -> asyncio.Future[Stored]:
        """One message towards the log. Refused: it is none, or over a limit; Unavailable: the queue is full.

        The `first` of a request with an Idempotency-Key is known by the key alone, and bears what the request was.
        """
        message = read(body, self._caller, is_device=self._is_device)
        self._gateway.metering.take(self._caller, len(message.payload))
        organization = self._caller.organization
        id = str(uuid7())
        headers = messages.headers(
            id=id,
            topic=message.topic,
            qos=message.qos,
            retain=False,
            received=datetime.now(UTC),
            source=subjects.HTTP,
            traceparent=traceparent(),
        )
        self._marked = first and self._command is not None and message.id is None
        if self._marked:
            headers[messages.REQUEST] = f"{self._digest}:{line}"
        headers[MESSAGE_ID] = self._message_id(message, line) or id
        subject = subjects.message(organization, subjects.HTTP, device_of(message.topic))
        return self._gateway.writer.write(subject, headers, message.payload)

    def _message_id(self, message: Message, line: int) -> str | None:
        """Whatever the log knows a message by is its organization's own: another's can never hide it."""
        if message.id is not None:
            return hashlib.sha256(f"{self._caller.organization}\nid\n{message.id}".encode()).hexdigest()
        if self._command is None:
            return None
        if self._marked:
            return hashlib.sha256(f"{self._command}\nfirst".encode()).hexdigest()
        # The same line again is recognised; other content is another message, never swallowed.
        content = f"{self._command}\n{line}\n{message.topic}\n".encode() + message.payload
        return hashlib.sha256(content).hexdigest()

    def _digest_of(self, parts: Iterable[bytes]) -> str:
        if self._command is None:
            return ""
        digest = hashlib.sha256()
        for part in parts:
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()[:32]

    async def _line_of(self, sequence: int) -> int:
        """Which line of this very request the log has there; Refused where it is of another request."""
        query = {"seq": sequence, "next_by_subj": ">", "batch": 1}
        for found in await jetstream.direct_batch(self._gateway.bus.client, MESSAGES.name, query):
            headers = found.headers or {}
            digest, _, line = headers.get(messages.REQUEST, "").partition(":")
            if int(headers["Nats-Sequence"]) == sequence and digest:
                if digest != self._digest:
                    raise Refused("idempotency.reused", "its body was another one: take another key")
                return int(line)
        raise Unavailable("log.unavailable", "the log cannot say yet what was sent before; send it again")

    async def _stored(self, written: list[asyncio.Future[Stored]]) -> list[Stored]:
        """All of them; Unavailable when one is not known to be stored: it is to be sent again."""
        if not written:
            return []
        done, late = await asyncio.wait(written, timeout=self._gateway.settings.ingest_timeout_s)
        for future in late:
            future.cancel()  # what still waits in the queue is not written any more
        failed = [error for future in done if (error := future.exception()) is not None]
        if late or failed:
            if failed and isinstance(failed[0], Failure):
                raise failed[0]
            raise Unavailable("log.unavailable", "the log did not answer in time; send it again")
        return [future.result() for future in written]


def _errors(result: LineResult) -> list[FieldError]:
    """A line's faults, with its number in front of the field."""
    assert result.error is not None
    found = result.error.errors or [FieldError(field="", detail=result.error.detail)]
    return [
        FieldError(field=f"line {result.line}" + (f".{each.field}" if each.field else ""), detail=each.detail)
        for each in found
    ]


def _code(results: list[LineResult]) -> str:
    """The lines' common code, where they have one."""
    codes = {result.error.code for result in results if result.error}
    return codes.pop() if len(codes) == 1 else "request.invalid"
