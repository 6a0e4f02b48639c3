"""A call is a request with one answer, over a NATS subject: commands order, queries ask.

`Call` ties subject, request and answer together; `runtime.rpc` sends and serves it. An answer travels as
`{"ok": …}` or `{"failure": {family, code, detail, field, extra}}`; before it, where the call has steps and the
request asks for them, `{"step": …}` for each; behind it, where the call is a bulk call, a line feed and bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Base of requests and answers: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Request(Model):
    """`organization` is decided by the caller's key, never by the caller; `actor` goes into the events."""

    organization: str
    actor: str
    command_id: str | None = None  # from the Idempotency-Key: the same id gets the same answer


class Nothing(Model):
    """The answer to what has none."""


RequestT = TypeVar("RequestT", bound=BaseModel)
AnswerT = TypeVar("AnswerT", bound=BaseModel)
StepT = TypeVar("StepT", bound=BaseModel)
ItemT = TypeVar("ItemT")


class Page(Model, Generic[ItemT]):
    """One page of a list; `next_cursor` is opaque, None on the last page."""

    items: list[ItemT]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Call(Generic[RequestT, AnswerT]):
    subject: str
    request: type[RequestT]
    answer: type[AnswerT]
    timeout_s: float = 5.0
    nobody: str = "service.unavailable"  # the failure's code when nobody listens on the subject
    label: str = ""  # in traces and metrics, where the subject itself names an entity

    @property
    def name(self) -> str:
        """Bounded: of all entities the same."""
        return self.label or self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class CallWithSteps(Call[RequestT, AnswerT], Generic[RequestT, AnswerT, StepT]):
    """A call whose work is told step by step while it goes on; the answer ends it."""

    step: type[StepT]


@dataclass(frozen=True, slots=True)
class BulkCall(Call[RequestT, AnswerT], Generic[RequestT, AnswerT]):
    """A call whose answer has bytes beside it, which nobody parses on the way."""
