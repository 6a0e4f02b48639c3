"""Credentials for a fleet: a file in, a line out for each of its lines, as they come to be."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from litestar import Request, post
from litestar.params import QueryParameter, RawBody
from litestar.response import Stream
from pydantic_core import to_json
from uuid_utils import uuid7

from contracts.credentials_bulk import (
    BULK_BATCH_MAX,
    CHECK_CREDENTIALS,
    ISSUE_CREDENTIALS,
    CheckCredentials,
    CredentialOutcome,
    CredentialWish,
    DraftOutcome,
    IssueCredentials,
)
from contracts.failures import Failure, Refused, Unavailable, from_dict
from contracts.organizations import Principal
from services.gateway.bodies import NDJSON
from services.gateway.bulk_body import CSV, Line, read
from services.gateway.parameters import Caller, CommandId
from services.gateway.problems import FieldError, Invalid, problem
from services.gateway.settings import LINES_BODY_BYTES_MAX
from services.gateway.state import Backend, Gateway

Outcome = CredentialOutcome | DraftOutcome
BATCH_CHARS_MAX = 32 * 1024
BOOLEANS = ("false", "true")
DryRun = Annotated[
    str,
    QueryParameter(max_length=5, description="Only say what would be", schema_extra={"enum": list(BOOLEANS)}),
]
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
    dry_run: DryRun = "false",
) -> Stream:
    """Issue credentials for a fleet: up to 10,000 lines of CSV or NDJSON. Passwords are shown this once.

    The answer is NDJSON, streamed: for each line its credential or its error, and the progress after each
    batch. Broken off, send the same file with the same Idempotency-Key: what was issued is not issued again.

    With `dry_run=true` nothing is issued: for each line what would be, or its error. The progress then counts `valid`
    lines in the place of `issued` ones.
    """
    if dry_run not in BOOLEANS:
        raise Invalid([FieldError(field="dry_run", detail=f"it is one of {', '.join(BOOLEANS)}")])
    lines = read(body, request.content_type[0].lower())
    work = Checking if dry_run == "true" else Issuing
    batches = work(gateway, caller, command_id or str(uuid7()), lines).run()
    first = await anext(batches)  # what goes wrong at once is an answer of its own

    async def answer() -> AsyncIterator[bytes]:
        yield first
        async for batch in batches:
            yield batch

    return Stream(answer(), media_type=NDJSON)


class Issuing:
    """One request's lines, batch by batch."""

    good = "issued"  # how the progress calls what is not refused

    def __init__(self, gateway: Gateway, caller: Principal, command: str, lines: list[Line]) -> None:
        self._gateway, self._caller, self._command, self._lines = gateway, caller, command, lines
        self._good = self._refused = 0

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

    async def _batch(self, batch: list[Line]) -> list[Outcome]:
        """One outcome a line."""
        wishes = [line.wish for line in batch if isinstance(line.wish, CredentialWish)]
        answered = iter(await self._ask(batch[0].number, tuple(wishes)) if wishes else ())
        return [
            next(answered)
            if isinstance(line.wish, CredentialWish)
            else CredentialOutcome(failure=line.wish.as_dict())
            for line in batch
        ]

    async def _ask(self, line: int, wishes: tuple[CredentialWish, ...], /) -> Sequence[Outcome]:
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

    def _told(self, line: Line, outcome: Outcome) -> bytes:
        if outcome.credential is not None:
            self._good += 1
            return to_json({"line": line.number, "credential": outcome.credential})
        self._refused += 1
        failure = line.wish if isinstance(line.wish, Refused) else from_dict(outcome.failure or {})
        return to_json({"line": line.number, "error": problem(failure)})

    def _progress(self, done: int) -> dict[str, int]:
        return {
            "done": done,
            "total": len(self._lines),
            self.good: self._good,
            "refused": self._refused,
        }


class Checking(Issuing):
    """The same, with nothing issued."""

    good = "valid"

    def __init__(self, gateway: Gateway, caller: Principal, command: str, lines: list[Line]) -> None:
        super().__init__(gateway, caller, command, lines)
        self._usernames: set[str] = set()  # of the batches before

    async def _ask(self, _line: int, wishes: tuple[CredentialWish, ...], /) -> Sequence[Outcome]:
        query = CheckCredentials(
            organization=self._caller.organization, actor=self._caller.actor, wishes=wishes
        )
        outcomes = (await self._gateway.ask(CHECK_CREDENTIALS, query)).outcomes
        checked = [self._once(outcome) for outcome in outcomes]
        self._usernames.update(each.credential.username or "" for each in checked if each.credential)
        return checked

    def _once(self, outcome: DraftOutcome) -> DraftOutcome:
        """A name that an earlier batch has would be taken by then."""
        name = outcome.credential.username if outcome.credential else None
        if name is None or name not in self._usernames:
            return outcome
        taken = Refused("name.taken", f"{name} is in use", field="username")
        return DraftOutcome(failure=taken.as_dict())


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


ROUTES = [issue_credentials]
