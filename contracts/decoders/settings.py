"""What the settings of decoders have in common; their models make the API's schema and the console's form."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_zones = lru_cache(maxsize=1)(available_timezones)


class DecoderSettings(BaseModel):
    """Each field has a title, a description and examples: a form is made of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


NumericStrings = Annotated[
    bool,
    Field(
        title="Numbers in quotes",
        description='Read "21.5" as the number 21.5. Otherwise it stays the text that the device sent.',
        examples=[False, True],
    ),
]


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("no such time zone: names are like Europe/Berlin (IANA time zone database)")
    return name


TimeZone = Annotated[
    str,
    Field(
        title="Time zone",
        description="Where the devices' clocks are set, for they send local times without a zone."
        " A name of the IANA time zone database.",
        examples=["UTC", "Europe/Berlin", "Asia/Shanghai"],
        max_length=64,
    ),
    AfterValidator(_known_zone),
]
