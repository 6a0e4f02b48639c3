"""JSON (RFC 8259) payloads, and what is wrong with one that is none."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from contracts.failures import Unprocessable

_parse = msgspec.json.Decoder().decode


def parse(payload: bytes) -> Any:
    """The JSON value; Unprocessable says what is wrong with it, and where."""
    try:
        return _parse(payload)
    except msgspec.ValidationError as error:
        raise Unprocessable("value.not_finite", "a number lies beyond a double's range") from error
    except RecursionError as error:
        raise Unprocessable("payload.too_deep", "nested beyond what the parser takes") from error
    except ValueError as error:
        if not payload.strip():
            raise Unprocessable("payload.empty", "the payload has no content") from error
        if _holds_not_finite(payload):
            raise Unprocessable("value.not_finite", "NaN and Infinity are no JSON, and no reading") from error
        raise Unprocessable("payload.not_json", str(error)) from error


class _NotFinite(Exception):
    pass


def _holds_not_finite(payload: bytes) -> bool:
    """Whether NaN or Infinity is what first kept this from being JSON: Python's json writes them."""

    def found(literal: str) -> None:
        raise _NotFinite(literal)

    try:
        json.loads(payload, parse_constant=found)
    except _NotFinite:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def is_echo(content: Any) -> bool:
    """An object whose only key is a numeric `result`: an answer to a device, heard again; no telemetry."""
    return type(content) is dict and len(content) == 1 and type(content.get("result")) in (int, float)


def may_hold_nul(payload: bytes) -> bool:
    """Whether a text of this JSON can hold NUL; 92 is the backslash: one byte is found much faster."""
    return 92 in payload and b"\\u0000" in payload
