"""What goes in and out of every broker's endpoints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from pydantic_core import from_json, to_json

from contracts.failures import Refused
from services.credentials.http_auth.judge import Judge

FIELDS_MAX = 64
FORM = "application/x-www-form-urlencoded"


class Question(NamedTuple):
    """`action` is the last part of the path; `hook` VerneMQ's header."""

    action: str
    fields: Mapping[str, Any]
    hook: str = ""

    def text(self, name: str) -> str:
        """Empty where it is missing, or is no text."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def optional(self, name: str) -> str | None:
        """None where the broker does not send it."""
        return self.text(name) if name in self.fields else None


class Answer(NamedTuple):
    status: int
    body: bytes
    media_type: str = "application/json"


Endpoint = Callable[[Judge, Question], Awaitable[Answer]]


def json_answer(body: Any, status: int = 200) -> Answer:
    return Answer(status, to_json(body))


def text_answer(body: str) -> Answer:
    return Answer(200, body.encode(), "text/plain; charset=utf-8")


def unknown_action() -> Refused:
    return Refused("route.unknown")


def fields_of(body: bytes, media_type: str) -> dict[str, Any]:
    """Raises Refused("request.malformed")."""
    try:
        if media_type.partition(";")[0].strip().lower() == FORM:
            text = body.decode()
            return dict(
                parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=FIELDS_MAX)
            )
        fields = from_json(body)
    except ValueError:  # UnicodeDecodeError is one
        raise Refused("request.malformed", "neither JSON nor a form") from None
    if not isinstance(fields, dict):
        raise Refused("request.malformed", "a JSON object is expected")
    return fields
