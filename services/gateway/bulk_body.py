"""Reads the wishes of a fleet: CSV or NDJSON, a credential a line."""

from __future__ import annotations

import csv
import io
from typing import Any, NamedTuple

from pydantic import ValidationError

from contracts.credentials_bulk import CredentialWish
from contracts.failures import Refused
from services.gateway.bodies import invalid
from services.gateway.problems import FieldError, Invalid
from services.gateway.settings import CREDENTIALS_LINES_MAX

CSV = "text/csv"
COLUMNS = frozenset(CredentialWish.model_fields)
FILTERS = ("publish", "subscribe")  # several in a cell, with spaces between: no topic here holds one
LINE_BYTES_MAX = 16 * 1024


class Line(NamedTuple):
    number: int
    size: int
    wish: CredentialWish | Refused


def read(body: bytes, media_type: str) -> list[Line]:
    """Each line's wish, or why it is none. Raises Refused for what cannot be read at all."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("request.malformed", "the body is not UTF-8") from None
    found = _csv(text) if media_type == CSV else _ndjson(text)
    if not found:
        raise Invalid([FieldError(field="", detail="the body holds no line")])
    if len(found) > CREDENTIALS_LINES_MAX:
        detail = f"{len(found)} lines, at most {CREDENTIALS_LINES_MAX} are taken at once"
        raise Refused("request.too_large", detail)
    return found


def _ndjson(text: str) -> list[Line]:
    return [
        Line(number, len(line), _wish_of_json(line))
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]


def _wish_of_json(line: str) -> CredentialWish | Refused:
    if len(line) > LINE_BYTES_MAX:
        return Refused("request.too_large", f"a line has at most {LINE_BYTES_MAX} characters")
    try:
        return CredentialWish.model_validate_json(line, strict=True)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            return Refused("request.malformed", "this is not valid JSON")
        return invalid(error)


def _csv(text: str) -> list[Line]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        unknown = set(reader.fieldnames or ()) - COLUMNS
        if unknown:
            words = (
                f"there is no column {', '.join(sorted(map(repr, unknown)))}: {', '.join(sorted(COLUMNS))}"
            )
            raise Refused("request.invalid", words, field="line 1")
        return [Line(reader.line_num, _size(row), _wish_of_row(row)) for row in reader]
    except csv.Error as error:
        raise Refused("request.malformed", f"line {reader.line_num}: {error}") from None


def _size(row: dict[str, Any]) -> int:
    """A missing cell is None, and cells too many are a list."""
    return sum(len(value) for value in row.values() if isinstance(value, str))


def _wish_of_row(row: dict[str, Any]) -> CredentialWish | Refused:
    if None in row or _size(row) > LINE_BYTES_MAX:
        return Refused("request.invalid", "the line has more cells than the first one, or is too long")
    sent = {name: value.strip() for name, value in row.items() if value and value.strip()}
    values = {name: value.split() if name in FILTERS else value for name, value in sent.items()}
    try:
        return CredentialWish.model_validate(values)
    except ValidationError as error:
        return invalid(error)
