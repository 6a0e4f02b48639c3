"""Request bodies: strict JSON into pydantic models; what does not fit is refused by field name."""

from __future__ import annotations

from typing import Any, TypeVar

from litestar import Request
from litestar.plugins.pydantic import PydanticInitPlugin
from litestar.utils import is_class_and_subclass
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from contracts.credentials import DEVICE_ID, USERNAME
from contracts.failures import Refused
from services.gateway.compressed import GZIP
from services.gateway.problems import FieldError, Invalid

ModelT = TypeVar("ModelT", bound=BaseModel)
JSON, NDJSON = "application/json", "application/x-ndjson"


_UNIONS_BY_KIND = ("condition", "scope")  # fields of several shapes, told apart by their `kind`


class Body(BaseModel):
    """Base of what callers send: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def decode(model: type[ModelT], value: Any) -> ModelT:
    """The model of a JSON value, strictly: "5" is no number. Raises Invalid, never quoting the input."""
    try:
        return model.model_validate_json(to_json(value), strict=True)
    except ValidationError as error:
        raise invalid(error) from error


def invalid(error: ValidationError, prefix: str = "") -> Invalid:
    """Pydantic's findings by field, without the values: they may be secrets."""
    return Invalid(
        [
            FieldError(field=prefix + _path(found), detail=_words(found))
            for found in error.errors(include_input=False, include_context=False, include_url=False)
            if found["type"] != "default_factory_not_called"  # a default that follows from what is wrong
        ]
    )


def _path(found: Any) -> str:
    """A path that its sender knows: without the name of a union's variant (`auth=password`)."""
    loc = [str(place) for place in found["loc"]]
    before = ["", *loc]
    places = [
        place
        for at, place in enumerate(loc)
        if not place.startswith("auth=") and before[at] not in _UNIONS_BY_KIND
    ]
    return ".".join([*places, "auth"] if found["type"] == "auth.unknown" else places)


_TIME = "a time is RFC 3339 with a zone, like 2026-11-21T18:00:00Z"
_FORMS = {
    DEVICE_ID: "letters without accents, digits and _ . : @ - alone, and no spaces",
    USERNAME: "up to 64 letters without accents, digits and _ . @ - alone, and no spaces",
}


def _words(found: Any) -> str:
    if found["type"] == "extra_forbidden":
        return "there is no such field"
    if found["type"].startswith(("datetime_", "timezone_")):
        return _TIME
    words = str(found["msg"]).removeprefix("Value error, ")
    if found["type"] == "string_pattern_mismatch":
        return next((said for form, said in _FORMS.items() if words.endswith(f"'{form}'")), words)
    return words


class StrictBodies(PydanticInitPlugin):
    """Litestar's pydantic support, with our way of reading a body."""

    @classmethod
    def decoders(cls, validate_strict: bool = False) -> list[tuple[Any, Any]]:
        del validate_strict  # always
        return [(lambda annotation: is_class_and_subclass(annotation, BaseModel), decode)]


async def check_content(request: Request[Any, Any, Any]) -> None:
    """Before a body is read: 415 for what is neither JSON nor what the route names in `media_types`."""
    if request.method not in ("POST", "PUT", "PATCH"):
        return
    handler = request.route_handler
    if "data" not in handler.parsed_fn_signature.parameters and "media_types" not in handler.opt:
        return
    if not int(request.headers.get("content-length", "0")) and "transfer-encoding" not in request.headers:
        return  # nothing was sent: where something must be, that is what will be said
    media_types = handler.opt.get("media_types", (JSON,))
    sent = request.content_type[0].lower()
    if sent not in media_types:
        raise Refused("media_type.unsupported", f"send Content-Type: {' or '.join(media_types)}")
    encodings = ("identity", GZIP) if handler.opt.get("gzip") else ("identity",)
    if request.headers.get("content-encoding", "identity").lower() not in encodings:
        words = "only gzip is taken" if GZIP in encodings else "compressed bodies are not taken"
        raise Refused("media_type.unsupported", f"Content-Encoding: {words}")
