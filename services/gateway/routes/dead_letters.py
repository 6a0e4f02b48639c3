"""Messages that could not be decoded: what they were, why not, and what becomes of them."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import delete, get, post
from litestar.params import JSONBody, QueryParameter
from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from contracts.calls import Page
from contracts.dead_letter_calls import (
    COUNT_DEAD_LETTERS,
    DISCARD_DEAD_LETTERS,
    GET_DEAD_LETTER,
    IDS_MAX,
    LIST_DEAD_LETTERS,
    RETRY_DEAD_LETTERS,
    CountDeadLetters,
    DeadLetter,
    DeadLetterCounts,
    DeadLetterFilter,
    DeadLetterRow,
    DiscardDeadLetters,
    Discarded,
    GetDeadLetter,
    LetterId,
    ListDeadLetters,
    Retried,
    RetryDeadLetters,
    State,
)
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Cursor, From, Id, Limit, Text, To, span_of
from services.gateway.state import Backend

StateOf = Annotated[Literal["open", "resolved", "discarded", "all"], QueryParameter(name="state")]
Short = Annotated[str, StringConstraints(max_length=100)]


class ChosenFilter(Body):
    """All that is given must hold; `from` (inclusive) and `to` are times of receiving."""

    reason: Short | None = None
    decoder: Short | None = None
    integration_id: Short | None = None
    topic: Annotated[str, StringConstraints(max_length=1024)] | None = None
    from_: AwareDatetime | None = Field(None, alias="from")
    to: AwareDatetime | None = None


class ChosenLetters(Body):
    """`ids`, or all open ones that `filter` matches (`{}`: every one)."""

    ids: Annotated[tuple[LetterId, ...], Field(max_length=IDS_MAX)] = ()
    filter: ChosenFilter | None = None

    @model_validator(mode="after")
    def _one_way(self) -> ChosenLetters:
        if bool(self.ids) == (self.filter is not None):
            raise ValueError("give `ids` or `filter`")
        return self

    def meant(self) -> DeadLetterFilter | None:
        return None if self.filter is None else DeadLetterFilter(**self.filter.model_dump())


def _state(state: str) -> State | None:
    return None if state == "all" else state  # type: ignore[return-value]


@get("/v1/dead-letters")
async def list_dead_letters(
    gateway: Backend,
    caller: Caller,
    state_of: StateOf = "open",
    reason: Text = None,
    decoder: Text = None,
    integration_id: Text = None,
    topic: Text = None,
    from_: From = None,
    to: To = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[DeadLetterRow]:
    """List messages that could not be decoded, newest first, each with its reason."""
    first, last = span_of(from_, to)
    query = ListDeadLetters(
        organization=caller.organization,
        state=_state(state_of),
        reason=reason,
        decoder=decoder,
        integration_id=integration_id,
        topic=topic,
        from_=first,
        to=last,
        limit=limit,
        cursor=cursor,
    )
    return await gateway.ask(LIST_DEAD_LETTERS, query)


@get("/v1/dead-letters/counts")
async def count_dead_letters(
    gateway: Backend, caller: Caller, state_of: StateOf = "open", from_: From = None, to: To = None
) -> DeadLetterCounts:
    """Count dead letters by reason, decoder and integration."""
    first, last = span_of(from_, to)
    query = CountDeadLetters(organization=caller.organization, state=_state(state_of), from_=first, to=last)
    return await gateway.ask(COUNT_DEAD_LETTERS, query)


@get("/v1/dead-letters/{id:str}")
async def get_dead_letter(id: Id, gateway: Backend, caller: Caller) -> DeadLetter:
    """Inspect a dead letter: its payload as text, as base64 and as a hex dump."""
    return await gateway.ask(GET_DEAD_LETTER, GetDeadLetter(organization=caller.organization, id=id))


@post(
    "/v1/dead-letters/retry",
    status_code=202,
    opt={"failures": ("not_found", "limit.reached", "log.unavailable")},
)
async def retry_dead_letters(
    data: JSONBody[ChosenLetters], gateway: Backend, caller: Caller, command_id: CommandId
) -> Retried:
    """Decode dead letters again, with the decoder that their integrations have now: after a fix.

    Up to 500 by their ids, or up to 1,000 by a filter. Those that can be decoded now are resolved, and their readings
    are stored as of when they came. `jobs` can be followed at /v1/redecode.
    """
    command = RetryDeadLetters(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        ids=data.ids,
        filter=data.meant(),
    )
    return await gateway.ask(RETRY_DEAD_LETTERS, command)


@post("/v1/dead-letters/discard", status_code=200, opt={"failures": ("not_found", "log.unavailable")})
async def discard_dead_letters(
    data: JSONBody[ChosenLetters], gateway: Backend, caller: Caller, command_id: CommandId
) -> Discarded:
    """Discard dead letters: up to 500 by their ids, or up to 10,000 by a filter. Their messages stay in the log."""
    command = DiscardDeadLetters(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        ids=data.ids,
        filter=data.meant(),
    )
    return await gateway.ask(DISCARD_DEAD_LETTERS, command)


@delete("/v1/dead-letters/{id:str}")
async def discard_dead_letter(id: Id, gateway: Backend, caller: Caller) -> None:
    """Discard one dead letter; its message stays in the log."""
    await gateway.ask(GET_DEAD_LETTER, GetDeadLetter(organization=caller.organization, id=id))
    command = DiscardDeadLetters(organization=caller.organization, actor=caller.actor, ids=(id,))
    await gateway.ask(DISCARD_DEAD_LETTERS, command)


ROUTES = [
    list_dead_letters,
    count_dead_letters,
    get_dead_letter,
    retry_dead_letters,
    discard_dead_letters,
    discard_dead_letter,
]
