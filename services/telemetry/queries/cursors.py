"""Cursors: where a page ended, opaque to callers, checked when they come back.

They need no signature: whatever a forged one says, row security shows nothing of another organization. Whose it is
stands in it so that one which strayed is told from one's own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.failures import Refused

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEQUENCE_MAX = 2**63 - 1
_TEXT_CHARS_MAX = 256


def encode(kind: str, organization: str, *values: datetime | int | str) -> str:
    plain = [_micros(value) if isinstance(value, datetime) else value for value in values]
    return (
        base64.urlsafe_b64encode(json.dumps([kind, mark(organization), *plain]).encode()).decode().rstrip("=")
    )


def decode(kind: str, organization: str, cursor: str, *types: type[datetime | int | str]) -> list[Any]:
    """What `encode` took; Refused("cursor.invalid") for anything else."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        held = json.loads(text)
        if not isinstance(held, list) or len(held) != len(types) + 2:
            raise ValueError("of another list")
        if held[:2] != [kind, mark(organization)]:
            raise ValueError("of another list or organization")
        return [_read(value, wanted) for value, wanted in zip(held[2:], types, strict=True)]
    except (ValueError, OverflowError, RecursionError, binascii.Error) as error:
        raise Refused(
            "cursor.invalid", "take `next_cursor` of the page before, as it is", field="cursor"
        ) from error


def mark(organization: str) -> str:
    """Tells organizations apart; eight hexadecimal digits."""
    return hashlib.sha256(organization.encode()).hexdigest()[:8]


def _read(value: Any, wanted: type[datetime | int | str]) -> datetime | int | str:
    if wanted is str:
        if not isinstance(value, str) or len(value) > _TEXT_CHARS_MAX:
            raise ValueError("no text")
        return value
    if type(value) is not int or abs(value) > _SEQUENCE_MAX:
        raise ValueError("no number")
    return _EPOCH + timedelta(microseconds=value) if wanted is datetime else value


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
