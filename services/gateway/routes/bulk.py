"""Credentials for a fleet: a file in, a line out for each of its lines, as they come to be."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

from litestar import Request, post
from litestar.params import RawBody
from litestar.response import Stream
from pydantic_core import to_json
from uuid_utils import uuid7

from contracts.credentials import (
    BULK_BATCH_MAX,
    ISSUE_CREDENTIALS,
    CredentialOutcome,
    CredentialWish,
    IssueCredentials,
)
from contracts.failures import Failure, Refused, Unavailable, from_dict
from contracts.organizations import Principal
from services.gateway.bodies import NDJSON
from services.gateway.bulk_body import CSV, Line, read
from services.gateway.parameters import Caller, CommandId
from services.gateway.problems import problem
from services.gateway.settings import LINES_BODY_BYTES_MAX
from services.gateway.state import Backend, Gateway

BATCH_CHARS_MAX = 32 * 1024
ATTEMPTS = 3
_EXAMPLES = {
    CSV: "name,device_id,publish\nBoiler 7,boiler-7,devices/boiler-7/#\nBoiler 8,boiler-8,\n",
    NDJSON: '{"name": "Boiler 7", "device_id": "boiler-7"}\n{"device_id": "boiler-8"}\n',
}
_ANSWER = """\
{"line":1,"credential":{"id":"cred_5n8p2x7m4k9q1w3z","device_id":"boiler-7","password":"hmq_dev_…"}}
{"line":2,"error":{"code":"filter.invalid","status":422,"detail":"…"}}
{"progress":{"done":2,"total":2,"issued":1,"refused":1}}
"""


@post(
    "/v1/credentials/bulk",
    status_code=200,
    request_max_body_size=LINES_BODY_BYTES_MAX,
    opt={
        "media_types": (CSV, NDJSON),
        "lines": _EXAMPLES,
        "answer": NDJSON,
        "answer_words": "A line for each line that was sent, and one with the progress after each batch",
        "answer_example": _ANSWER,
        "failures": ("limit.reached", "organization.deleted"),
    },
)
async def issue_credentials(
    body: RawBody,
    gateway: Backend,
    caller: Caller,
    request: Request[Any, Any, Any],
    command_id: CommandId,
) -> Stream:
    """Issue credentials for a fleet: up to 10,000 lines of CSV or NDJSON. Passwords are shown this once.

    The answer is NDJSON, streamed: for each line its credential or its error, and the progress after each
    batch. Broken off, send the same file with the same Idempotency-Key: what was issued is not issued again.
    """
    lines = read(body, request.content_type[0].lower())
    batches = Issuing(gateway, caller, command_id or str(uuid7()), lines).run()
    first = await anext(batches)  # what goes wrong at once is an answer of its own

    async def answer() -> AsyncIterator[bytes]:
        yield first
        async for batch in batches:
            yield batch

    return Stream(answer(), media_type=NDJSON)


class Issuing:
    """One request's lines, batch by batch."""

    def __init__(self, gateway: Gateway, caller: Principal, command: str, lines: list[Line]) -> None:
        self._gateway, self._caller, self._command, self._lines = gateway, caller, command, lines
        self._issued = self._refused = 0

    async def run(self) -> AsyncIterator[bytes]:
        """What to send after each batch. A failure of the first one is raised, of a later one told."""
        done = 0
        for batch in batched(self._lines):
            try:
                outcomes = await self._batch(batch)
            except Failure as failure:
                if done == 0:
                    raise
                yield to_json({"error": problem(failure), "progress": self._progress(done)}) + b"\n"
                return
            done += len(batch)
            told = [self._told(line, outcome) for line, outcome in zip(batch, outcomes, strict=True)]
            told.append(to_json({"progress": self._progress(done)}))
            yield b"\n".join(told) + b"\n"

    async def _batch(self, batch: list[Line]) -> list[CredentialOutcome]:
        """One outcome a line."""
        wishes = [line.wish for line in batch if isinstance(line.wish, CredentialWish)]
        issued = iter(await self._issue(batch[0].number, tuple(wishes)) if wishes else ())
        return [
            next(issued)
            if isinstance(line.wish, CredentialWish)
            else CredentialOutcome(failure=_as_dict(line.wish))
            for line in batch
        ]

    async def _issue(self, line: int, wishes: tuple[CredentialWish, ...]) -> tuple[CredentialOutcome, ...]:
        command = IssueCredentials(
            organization=self._caller.organization,
            actor=self._caller.actor,
            command_id=hashlib.sha256(f"{self._command}\n{line}".encode()).hexdigest(),
            wishes=wishes,
        )
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return (await self._gateway.ask(ISSUE_CREDENTIALS, command)).outcomes
            except Unavailable:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("the last attempt answers or raises")

    def _told(self, line: Line, outcome: CredentialOutcome) -> bytes:
        if outcome.credential is not None:
            self._issued += 1
            return to_json({"line": line.number, "credential": outcome.credential})
        self._refused += 1
        failure = line.wish if isinstance(line.wish, Refused) else from_dict(outcome.failure or {})
        return to_json({"line": line.number, "error": problem(failure)})

    def _progress(self, done: int) -> dict[str, int]:
        return {
            "done": done,
            "total": len(self._lines),
            "issued": self._issued,
            "refused": self._refused,
        }


def batched(lines: list[Line]) -> list[list[Line]]:
    """As many lines in each as one message between services takes."""
    found: list[list[Line]] = []
    size = 0
    for line in lines:
        size += line.size
        if not found or len(found[-1]) == BULK_BATCH_MAX or size > BATCH_CHARS_MAX:
            found.append([])
            size = line.size
        found[-1].append(line)
    return found


def _as_dict(refused: Refused) -> dict[str, Any]:
    return refused.as_dict()


ROUTES = [issue_credentials]
