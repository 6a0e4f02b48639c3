"""Every failure over HTTP is a problem document (RFC 9457), with a stable `code` from contracts.failures."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException, ValidationException
from litestar.params import QueryParameter
from opentelemetry import trace
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from contracts.failures import Failure, Refused, Unavailable
from runtime.observe import log, mark_failed
from services.gateway import signatures

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
MISSING = "there is no such object in this organization"
_log = log(part="http")

# What the framework refuses by status, in the codes of this platform.
_CODES = {
    400: "request.malformed",
    401: "key.invalid",
    403: "scope.missing",
    404: "route.unknown",
    405: "method.not_allowed",
    413: "request.too_large",
    415: "media_type.unsupported",
    422: "request.invalid",
    429: "limit.reached",
    503: "service.unavailable",
}


class FieldError(BaseModel):
    """One thing that is wrong with the input; `field` is a path like `settings.port`."""

    field: str
    detail: str


class Problem(BaseModel):
    """RFC 9457; `code` is for machines and never changes, `detail` is for people and may."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None
    errors: list[FieldError] | None = None
    trace_id: str | None = None


class Invalid(Refused):
    """Input with the wrong form: each field that is at fault, by name."""

    def __init__(self, errors: list[FieldError], code: str = "request.invalid") -> None:
        first = errors[0]
        super().__init__(
            code, f"{first.field}: {first.detail}" if first.field else first.detail, field=first.field or None
        )
        self.errors = errors


def problem(failure: Failure) -> dict[str, Any]:
    """The document's members; a failure's `extra` (the steps of a test) stands beside the standard ones."""
    errors = failure.errors if isinstance(failure, Invalid) else None
    if errors is None and failure.field is not None:
        errors = [FieldError(field=failure.field, detail=failure.detail)]
    meaning = failure.meaning
    # One body for what is not there and for what is another tenant's.
    detail, field = (MISSING, None) if failure.code == "not_found" else (failure.detail, failure.field)
    standard = Problem(
        type=f"/problems/{failure.code}",
        title=meaning.title,
        status=meaning.status,
        detail=detail or meaning.title,
        code=failure.code,
        field=field,
        errors=errors if failure.code != "not_found" else None,
        trace_id=trace_id(),
    )
    extra = {} if failure.code == "not_found" else failure.extra
    return {**extra, **standard.model_dump(exclude_none=True)}


def headers(failure: Failure) -> dict[str, str]:
    """Headers that belong to a refusal."""
    made = {"cache-control": "no-store"}
    status = failure.meaning.status
    if status == 401:
        made["www-authenticate"] = 'Bearer realm="hybridmq"'
        if failure.code != "key.missing":
            made["www-authenticate"] += ', error="invalid_token"'
    if status in (429, 503):
        made["retry-after"] = str(failure.extra.get("retry_after_s", RETRY_AFTER_S))
    return made


def trace_id() -> str | None:
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else None


def as_failure(error: Exception) -> Failure:
    """Any exception as a failure; what nobody foresaw is `internal` and says nothing of what is inside."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, ValidationException):
        found = error.extra if isinstance(error.extra, list) else []
        return Invalid([_field_error(item) for item in found] or [FieldError(field="", detail=error.detail)])
    if isinstance(error, HTTPException) and error.status_code in _CODES:
        code = _CODES[error.status_code]
        return Refused(code, "the body is not valid JSON" if code == "request.malformed" else "")
    if isinstance(error, (RecursionError, PydanticSerializationError)):
        return Refused("request.malformed", "the body is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return Refused("request.malformed", "the body is not UTF-8")
    if isinstance(error, InternalServerException) and "disconnected" in error.detail:
        return Refused("request.malformed", "the body ended early")  # nobody is left to read this
    if isinstance(error, TimeoutError):
        return Unavailable("service.unavailable", "this took too long; try again")
    return Unavailable("internal", "this is our fault; tell us the trace_id")


def _field_error(item: Any) -> FieldError:
    """One entry of Litestar's list."""
    return FieldError(field=item.get("key", ""), detail=item["message"])


def _as_asked(request: Request[Any, Any, Any], error: ValidationException) -> Failure:
    """Parameters by the names that callers use: `state`, where the handler's own name for it is another one."""
    held = signatures.fields(request.route_handler)
    found = error.extra if isinstance(error.extra, list) else []
    for item in found:
        field = held.get(item.get("key", ""))
        if field is not None and isinstance(field.kwarg_definition, QueryParameter):
            item["key"] = field.kwarg_definition.name or item["key"]
    return as_failure(error)


def handle(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Litestar's handler of every exception."""
    failure = _as_asked(request, error) if isinstance(error, ValidationException) else as_failure(error)
    if failure.code == "internal":
        mark_failed(trace.get_current_span(), repr(error))
        _log.error("a request failed", route=request.scope.get("path_template"), exc_info=error)
    made = headers(failure)
    if isinstance(error, HTTPException) and error.headers and "allow" in error.headers:
        made["allow"] = error.headers["allow"]
    return Response(problem(failure), media_type=MEDIA_TYPE, status_code=failure.meaning.status, headers=made)
