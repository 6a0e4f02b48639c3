"""What people say of a device (its name, tags, metadata, whether it is hidden), and that it is to be forgotten."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue
from pydantic_core import to_json

from contracts.calls import Call, Model, Page, Request
from contracts.decoders.limits import DEVICE_CHARS_MAX
from contracts.envelope import Event
from contracts.telemetry import Query

DESCRIBED_MAX = 100_000  # devices of an organization that people may describe: held in memory, 1 KB each
NAME_CHARS_MAX = 128
TAGS_MAX = 32  # of a device
TAG_CHARS_MAX = 64
METADATA_BYTES_MAX = 4_096  # as JSON; the log keeps every version of it for ever
METADATA_DEPTH_MAX = 8

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


def normal_tag(tag: str) -> str:
    """A tag as it is kept and asked for: NFKC, small letters, single spaces. ValueError where nothing is left."""
    found = " ".join(unicodedata.normalize("NFKC", tag).casefold().split())
    if not found or not found.isprintable() or "," in found or len(found) > TAG_CHARS_MAX:
        raise ValueError(f"a tag has 1 to {TAG_CHARS_MAX} printable characters, and no comma")
    return found


def normal_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order. ValueError for more than TAGS_MAX."""
    found = tuple(sorted({normal_tag(tag) for tag in tags}))
    if len(found) > TAGS_MAX:
        raise ValueError(f"a device has at most {TAGS_MAX} tags")
    return found


def _fitting(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(to_json(metadata, inf_nan_mode="constants"))
    except ValueError:
        raise ValueError("a text in it is no Unicode") from None
    if size > METADATA_BYTES_MAX:
        raise ValueError(f"at most {METADATA_BYTES_MAX} bytes of JSON, this has {size}")
    _look_through(metadata, 0)
    return metadata


def _look_through(value: Any, depth: int) -> None:
    """What the database can keep as it is."""
    if depth > METADATA_DEPTH_MAX:
        raise ValueError(f"at most {METADATA_DEPTH_MAX} levels of objects and arrays")
    if isinstance(value, str) and "\0" in value:
        raise ValueError("a text holds no NUL")
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise ValueError("a number is finite")
    if isinstance(value, dict):
        for key, held in value.items():
            _look_through(key, depth)
            _look_through(held, depth + 1)
    elif isinstance(value, list):
        for held in value:
            _look_through(held, depth + 1)


DeviceId = Annotated[str, Field(min_length=1, max_length=DEVICE_CHARS_MAX, pattern=_PRINTABLE)]
DeviceName = Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX, pattern=_PRINTABLE)]
Tags = Annotated[tuple[str, ...], Field(max_length=4 * TAGS_MAX), AfterValidator(normal_tags)]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_fitting)]


def device_token(organization: str, device: str) -> str:
    """A token that is safe in a subject, whatever the id holds; no two organizations share one."""
    return hashlib.sha256(f"{organization}\n{device}".encode()).hexdigest()[:32]


# events
class DeviceDescribed(Event):
    """The whole of what is said of it, in the place of what was said before."""

    type = "device.described"
    device_id: str
    name: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, JsonValue] = {}
    hidden: bool = False


class DeviceForgotten(Event):
    """What was said of it and what it sent before this is erased, and appears nowhere again; later data is new."""

    type = "device.forgotten"
    device_id: str
    erasure: str  # the job's id


# to credentials, which keeps it
class DescribeDevice(Request):
    """What is None stays as it is. Also of a device that never sent. Refused("limit.reached") above DESCRIBED_MAX."""

    device_id: DeviceId
    name: DeviceName | Literal[""] | None = None  # "": the name is taken back
    tags: Tags | None = None
    metadata: Metadata | None = None
    hidden: bool | None = None


class ForgetDevice(Request):
    device_id: DeviceId


class DeviceSettings(Model):
    id: str
    name: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, JsonValue] = {}
    hidden: bool = False


class ForgottenDevice(Model):
    """The order: `erasure` is the job's id."""

    erasure: str
    device_id: str
    forgotten_at: datetime


# to telemetry, which carries it out
ErasureState = Literal["ordered", "running", "done"]


class Erasure(Model):
    """A job; the counts are rows that are gone. Read models only: the log lets go of messages in its own time."""

    id: str
    device_id: str
    state: ErasureState
    forgotten_at: datetime
    began_at: datetime | None = None
    finished_at: datetime | None = None
    step: str | None = None  # what it is at
    readings: int = 0  # rows of them: all metrics of one time
    messages: int = 0
    dead_letters: int = 0
    commands: int = 0


class ListErasures(Query):
    device_id: str | None = None


class GetErasure(Model):
    organization: str
    id: str


DESCRIBE_DEVICE = Call("command.credentials.describe-device", DescribeDevice, DeviceSettings)
FORGET_DEVICE = Call("command.credentials.forget-device", ForgetDevice, ForgottenDevice)
LIST_ERASURES = Call("query.telemetry.erasures", ListErasures, Page[Erasure], timeout_s=10.0)
GET_ERASURE = Call("query.telemetry.erasure", GetErasure, Erasure, timeout_s=10.0)
