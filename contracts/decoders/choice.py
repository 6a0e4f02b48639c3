"""Which decoder read, or reads, an integration's messages: what the REGISTRY says, by the time it said so."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from contracts.decoders import DEFAULT, get
from contracts.decoders.model import Decoder, Stateful
from contracts.envelope import Event
from contracts.failures import Refused, Unprocessable
from contracts.integrations import (
    HOSTED,
    DecoderChoice,
    HostedIntegrationChanged,
    IntegrationChanged,
    IntegrationCreated,
)
from contracts.streams import PAYLOAD_BYTES_MAX
from contracts.subjects import HTTP

# An event and a message of the same moment come by two ways. A change holds for what is stored so much later, so
# that the same message gets the same decoder whenever it is read, by whichever replica.
SETTLES_NS = 500_000_000
DETAIL_CHARS_MAX = 2_000
SETTINGS_BYTES_MAX = 32_768  # the log keeps them for ever


class Origin(NamedTuple):
    """What made a reading. The hash tells settings apart without showing them; of the defaults it is empty."""

    name: str
    version: int
    settings_hash: str


class Choice(NamedTuple):
    """How an integration's messages are decoded; `chosen` makes one."""

    decoder: Decoder
    settings: Any
    prefix: str | None = None
    payload_bytes_max: int = PAYLOAD_BYTES_MAX  # or less, where the operator gave the organization a limit
    origin: Origin = Origin("none", 0, "")
    stateful: Stateful | None = None  # the decoder, if it is one


def chosen(wanted: DecoderChoice, prefix: str | None = None) -> Choice:
    """Raises Unprocessable for an unknown name, pydantic's ValidationError for settings that do not fit."""
    decoder = get(wanted.name)
    settings = decoder.Settings.model_validate(wanted.settings)
    held: object = decoder
    origin = Origin(decoder.name, decoder.version, settings_hash(settings))
    stateful = held if isinstance(held, Stateful) else None
    return Choice(decoder, settings, prefix, origin=origin, stateful=stateful)


def checked(wanted: DecoderChoice, prefix: str | None = None) -> Choice:
    """For whoever asks: Refused, with the field that is wrong (`decoder.settings.time_zone`)."""
    if len(to_json(wanted.settings)) > SETTINGS_BYTES_MAX:
        detail = f"at most {SETTINGS_BYTES_MAX} bytes of JSON"
        raise Refused("decoder.settings", detail, field="decoder.settings")
    try:
        return chosen(wanted, prefix)
    except Unprocessable as failure:
        raise Refused(failure.code, failure.detail, field=failure.field or "decoder.name") from None
    except ValidationError as error:
        found = error.errors(include_input=False, include_context=False, include_url=False)
        places = [".".join(["decoder.settings", *map(str, each["loc"])]) for each in found]
        detail = "; ".join(f"`{place}`: {_words(each)}" for place, each in zip(places, found, strict=True))
        raise Refused("decoder.settings", detail[:DETAIL_CHARS_MAX], field=places[0][:200]) from None


def _words(found: Any) -> str:
    if found["type"] == "extra_forbidden":
        return "there is no such setting"
    return str(found["msg"]).removeprefix("Value error, ")


def settings_hash(settings: BaseModel) -> str:
    said = settings.model_dump(mode="json", exclude_defaults=True)
    if not said:
        return ""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


STANDARD = chosen(DecoderChoice(name=DEFAULT))


class Choices:
    """Per integration, in the order of the log: from when, which choice. HTTP ingest goes with `hosted`."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, str], list[int]] = {}
        self._choices: dict[tuple[str, str], list[Choice]] = {}
        self.stateful = False  # whether any of them ever needed a state

    def apply(self, organization: str, id: str, event: Event, at_ns: int) -> Choice | None:
        """What the event chose; None where it is none that does. Raises as `chosen`."""
        if isinstance(event, IntegrationCreated | IntegrationChanged):
            choice = chosen(event.decoder, event.settings.topic_prefix)
        elif isinstance(event, HostedIntegrationChanged):
            choice = chosen(event.decoder)
        else:
            return None
        times = self._times.setdefault((organization, id), [])
        held = self._choices.setdefault((organization, id), [])
        if not times and id == HOSTED:
            times.append(0)
            held.append(STANDARD)
        if held and held[-1] == choice:
            return choice
        times.append(at_ns + SETTLES_NS if times else 0)  # the first one holds from the beginning
        held.append(choice)
        self.stateful |= choice.stateful is not None
        return choice

    def known(self, organization: str, source: str) -> bool:
        return source in (HOSTED, HTTP) or (organization, source) in self._times

    def choose(self, organization: str, source: str, at_ns: int) -> Choice:
        """What held for a message that was stored then; the default where nothing is known."""
        key = (organization, HOSTED if source == HTTP else source)
        times = self._times.get(key)
        if times is None:
            return STANDARD
        return self._choices[key][bisect_right(times, at_ns) - 1]
