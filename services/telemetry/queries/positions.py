"""Positions of exports: keys of lines as people see them, checked when they come back.

They need no signature: row security shows nothing of another organization, whatever a forged one says. They begin with
a mark of their organization, as other cursors have one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from contracts.failures import Refused
from services.telemetry.queries.cursors import mark

_PART = re.compile(r"[0-9a-f]{1,16}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BIGINT, _INT, _SMALLINT = 2**63 - 1, 2**31 - 1, 2**15 - 1
ROW = (_BIGINT, _SMALLINT)  # sequence, epoch
SAMPLE = (*ROW, _SMALLINT)  # and its position in the message
READING = (*SAMPLE, _INT)  # and its place in the sample, from 1


def parse(text: str, organization: str, most: tuple[int, ...]) -> tuple[datetime, tuple[int, ...]]:
    """The time, and the integers behind it. Raises Refused("cursor.invalid")."""
    whose, *parts = text.split(".")
    try:
        if whose != mark(organization):
            raise ValueError("of another organization")
        if len(parts) != 1 + len(most) or not all(_PART.fullmatch(part) for part in parts):
            raise ValueError("of another list")
        micros, *others = (int(part, 16) for part in parts)
        if any(value > limit for value, limit in zip(others, most, strict=True)):
            raise ValueError("too large")
        signed = micros - 2**64 if micros > _BIGINT else micros
        return _EPOCH + timedelta(microseconds=signed), tuple(others)
    except (ValueError, OverflowError) as error:
        raise Refused(
            "cursor.invalid", "take the `cursor` of the last line that arrived, as it is", field="cursor"
        ) from error
