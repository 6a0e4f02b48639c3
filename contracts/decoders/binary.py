"""Byte strings as texts, for they are no readings as they are."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from contracts.failures import Unprocessable

ByteStrings = Annotated[
    Literal["hex", "base64", "omit", "refuse"],
    Field(
        title="Byte strings",
        description="What becomes of a byte string: a text in hexadecimal or base64, nothing, or a dead letter.",
        examples=["hex", "base64", "omit", "refuse"],
    ),
]


def _refused(data: bytes) -> str:
    raise Unprocessable("payload.unsupported", f"a byte string (of {len(data)} bytes) is no reading")


_WAYS: dict[str, Callable[[bytes], str | None]] = {
    "hex": bytes.hex,
    "base64": lambda data: b64encode(data).decode(),
    "omit": lambda data: None,  # noqa: ARG005
    "refuse": _refused,
}


def as_text(wanted: str) -> Callable[[bytes], str | None]:
    return _WAYS[wanted]


def base64url(data: bytes) -> str:
    """Without padding (RFC 4648 §5), as SenML writes data values."""
    return urlsafe_b64encode(data).decode().rstrip("=")
