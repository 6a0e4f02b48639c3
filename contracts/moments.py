"""A time that somebody gave, with any zone; kept and told in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # an hour before the year 1, or after 9999
        raise ValueError("the calendar has no such time in UTC") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
