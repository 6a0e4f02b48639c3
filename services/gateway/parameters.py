"""Query parameters and headers that many routes share, checked the same way everywhere."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, QueryParameter
from litestar.typing import FieldDefinition

from contracts.failures import Refused
from contracts.organizations import Principal
from contracts.telemetry import NAMES_MAX
from services.gateway import signatures
from services.gateway.access import template
from services.gateway.problems import FieldError, Invalid

TEXT_CHARS_MAX = 256
CURSOR_CHARS_MAX = 512
# RFC 3339 §5.6, with the zone that it demands.
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_TIME = {"format": "date-time"}

Id = FromPath[str]
Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="How many at most")]
Cursor = Annotated[
    str | None, QueryParameter(max_length=CURSOR_CHARS_MAX, description="`next_cursor` of the page before")
]
Text = Annotated[str | None, QueryParameter(max_length=TEXT_CHARS_MAX)]
Texts = Annotated[
    list[str] | None,
    QueryParameter(description=f"Given several times, up to {NAMES_MAX}: any of them"),
]
"""A parameter that may be repeated; `texts` checks it."""
From = Annotated[
    str | None,
    QueryParameter(name="from", description="Inclusive; RFC 3339 with zone", schema_extra=_TIME),
]
To = Annotated[
    str | None,
    QueryParameter(name="to", description="Exclusive; RFC 3339 with zone", schema_extra=_TIME),
]
At = Annotated[str | None, QueryParameter(name="at", description="RFC 3339 with zone", schema_extra=_TIME)]
Caller = NamedDependency[Principal]
CommandId = NamedDependency[str | None]
"""The Idempotency-Key, by `command_id` below."""
IDEMPOTENCY_KEY = "Idempotency-Key"


def moment(field: str, value: str | None) -> datetime | None:
    """An RFC 3339 time; Invalid names the parameter."""
    if value is None:
        return None
    if _RFC3339.fullmatch(value):
        # Python 3.11 reads all of it but lower-case letters and more than six digits of a second
        try:
            found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value.upper()))
            return found.astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # a month 13, or a year before the first
    raise Invalid(
        [FieldError(field=field, detail="a time is RFC 3339 with a zone, like 2026-11-21T18:00:00Z")]
    )


def span_of(from_: str | None, to: str | None) -> tuple[datetime | None, datetime | None]:
    """Both ends of a time range, the first before the second."""
    first, last = moment("from", from_), moment("to", to)
    if first is not None and last is not None and first >= last:
        raise Invalid([FieldError(field="from", detail="it must lie before `to`")])
    return first, last


def texts(**values: list[str] | None) -> dict[str, tuple[str, ...]]:
    """Each without doubles; Invalid names the one with too many, or with one too long."""
    errors = []
    for name, held in values.items():
        if held is not None and len(held) > NAMES_MAX:
            errors.append(FieldError(field=name, detail=f"it is given at most {NAMES_MAX} times"))
        elif any(len(value) > TEXT_CHARS_MAX for value in held or ()):
            errors.append(FieldError(field=name, detail=f"it has at most {TEXT_CHARS_MAX} characters"))
    if errors:
        raise Invalid(errors)
    return {name: tuple(dict.fromkeys(held or ())) for name, held in values.items()}


def repeatable(field: FieldDefinition) -> bool:
    return any(inner.origin is list for inner in (field, *field.inner_types))


def query_names(handler: BaseRouteHandler) -> dict[str, FieldDefinition]:
    """A handler's query parameters by the names that callers use."""
    return {
        field.kwarg_definition.name or name: field
        for name, field in signatures.fields(handler).items()
        if isinstance(field.kwarg_definition, QueryParameter)
    }


def check_query(request: Request[Any, Any, Any]) -> None:
    """Unknown and repeated query parameters are errors: a mistyped filter must not return everything."""
    known = query_names(request.route_handler)
    errors = [
        FieldError(field=name, detail="it is missing")
        for name, field in known.items()
        if not field.has_default and name not in request.query_params
    ]
    for name, value in request.query_params.multi_items():
        if name not in known:
            errors.append(FieldError(field=name, detail="there is no such query parameter"))
        elif not isinstance(value, str) or not value.isprintable():
            errors.append(FieldError(field=name, detail="it holds a control character"))
    several = {name for name in request.query_params if len(request.query_params.getall(name)) > 1}
    if repeated := {name for name in several if name in known and not repeatable(known[name])}:
        errors += [FieldError(field=name, detail="it is given more than once") for name in sorted(repeated)]
    if errors:
        raise Invalid(errors)


def check_path(request: Request[Any, Any, Any]) -> None:
    """An id that no object can have is a missing object."""
    for value in request.path_params.values():
        # of a rest of the path, the router hands over the slash before it too
        if len(str(value).removeprefix("/")) > TEXT_CHARS_MAX or not str(value).isprintable():
            raise Refused("not_found")


def command_id(request: Request[Any, Any, Any]) -> str | None:
    """The Idempotency-Key, scoped by organization and route, in a form that is safe anywhere."""
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise Invalid([FieldError(field=IDEMPOTENCY_KEY, detail="it has 1 to 255 visible ASCII characters")])
    # The whole path: revoking two credentials is two commands.
    scope = f"{request.auth.organization}\n{request.method} {template(request.url.path)}\n{key}"
    return hashlib.sha256(scope.encode()).hexdigest()
