"""`senml`: Sensor Measurement Lists (RFC 8428) in JSON and CBOR."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from contracts.decoders.addressing import Address, address, checked, named
from contracts.decoders.binary import base64url
from contracts.decoders.cbor_reader import read
from contracts.decoders.flatten import add, check_distinct, check_stored
from contracts.decoders.json_text import is_echo, parse
from contracts.decoders.limits import INT_MAX, INT_MIN, READINGS_MAX, SAMPLES_MAX, UNIT_CHARS_MAX
from contracts.decoders.model import FUTURE, UNPARSABLE, Decoded, Example, Message, Reading, Sample
from contracts.decoders.presence import presence
from contracts.decoders.settings import DecoderSettings
from contracts.decoders.times import AHEAD_MAX, later, unix
from contracts.failures import Unprocessable

VERSION_MAX = 10  # RFC 8428 §4.4; a later one may mean other things by the same fields
RELATIVE_BELOW = 2**28  # §4.5.3: seconds from now on; above, Unix time
_SEPARATORS = ":/._-"
_RECORDS_MAX = READINGS_MAX // 2  # each is a value and a sum
_VALUES = {"v": (int, float), "vs": (str,), "vb": (bool,), "vd": (str,)}
# §6: the names of the fields in CBOR; the reader makes texts of whole numbers.
_CBOR = {
    "-1": "bver", "-2": "bn", "-3": "bt", "-4": "bu", "-5": "bv", "-6": "bs",
    "0": "n", "1": "u", "2": "v", "3": "vs", "4": "vb", "5": "s", "6": "t", "7": "ut", "8": "vd",
}  # fmt: skip


class SenmlSettings(DecoderSettings):
    format: Annotated[
        Literal["auto", "json", "cbor"],
        Field(
            title="Format",
            description="How packs are written; by itself, the decoder takes for JSON what begins with `[`.",
            examples=["auto", "json", "cbor"],
        ),
    ] = "auto"
    full_names: Annotated[
        bool,
        Field(
            title="Full names",
            description="Name each reading by base name and name together. Otherwise the name alone is taken,"
            " and the last part of the base name where there is none.",
            examples=[False, True],
        ),
    ] = False


class _Base(NamedTuple):
    """What the base fields so far add to a record (RFC 8428 §4.1)."""

    name: str = ""
    time: float = 0
    unit: str | None = None
    value: float = 0
    sum: float = 0


class Senml:
    """A sample for each device and time of a pack. The device is the topic's, else the base name's.

    `s` is a reading of its own, `<name>.sum`, in the unit times a second; `vd` a text in base64url. Names need not
    keep to §4.5.1's letters. A field that must be understood (`…_`) and is not refuses the pack, as §4.4 asks.
    """

    name = "senml"
    version = 1
    description = "SenML packs (RFC 8428) in JSON or CBOR: base fields, relative times, units, sums."
    example = Example(
        "devices/s1/telemetry",
        b'[{"bn":"urn:dev:ow:10e2073a01080063:","bt":1772359200,"bu":"Cel","n":"temperature","v":21.5},'
        b'{"n":"humidity","u":"%RH","v":40},{"n":"door","vb":true,"t":-10}]',
    )
    Settings = SenmlSettings

    def decode(self, message: Message, settings: SenmlSettings) -> Decoded:
        where = address(message.topic, message.hosted_device, message.prefix)
        if where.kind == "neither":
            return Decoded()
        if where.kind == "presence":
            return Decoded(presence=presence(message, where))
        records = _records(message.payload, settings.format)
        if is_echo(records):
            return Decoded()
        if type(records) is not list or not records:
            raise Unprocessable("payload.not_senml", "a pack is an array of records (RFC 8428 §4)")
        if len(records) > _RECORDS_MAX:
            raise Unprocessable("payload.too_many", f"over {_RECORDS_MAX} records in one pack")
        samples = _resolved(records, where, message.received, settings.full_names)
        nul = b"\0" in message.payload or b"\\u0000" in message.payload
        for sample in samples:
            if nul:
                check_stored(sample.readings)
            check_distinct(sample.readings)
        return Decoded(samples)


def _records(payload: bytes, format: str) -> Any:
    start = payload.lstrip()[:1]
    if format == "json" or (format == "auto" and start in (b"[", b"{", b"")):
        return parse(payload)
    content = read(payload, base64url)
    if type(content) is not list:
        return content
    return [
        {_CBOR.get(key, key): value for key, value in record.items()} if type(record) is dict else record
        for record in content
    ]


def _resolved(records: list[Any], where: Address, received: datetime, full_names: bool) -> list[Sample]:
    base = _Base()
    samples: dict[tuple[str, datetime, int], Sample] = {}
    for index, record in enumerate(records):
        if type(record) is not dict:
            raise Unprocessable("payload.not_senml", "a record is an object", field=str(index))
        for key in record:
            if key.endswith("_"):
                raise Unprocessable(
                    "payload.not_senml",
                    f"`{key[:40]}` must be understood, and is not",
                    field=f"{index}.{key[:40]}",
                )
        base = _rebased(base, record, index)
        readings = _readings(record, base, index, full_names)
        if readings is None:
            continue
        device = where.device or _device(base.name, where)
        moment, flags = _time(base.time + _number(record, "t", index), received)
        sample = samples.get((device, moment, flags))
        if sample is None:
            if len(samples) >= SAMPLES_MAX:
                raise Unprocessable("payload.too_many", f"over {SAMPLES_MAX} times in one pack")
            sample = samples[device, moment, flags] = Sample(device, moment, flags, [])
        sample.readings += readings
    return list(samples.values())


def _rebased(base: _Base, record: dict[str, Any], index: int) -> _Base:
    version = record.get("bver", VERSION_MAX)
    if type(version) is not int or version > VERSION_MAX:
        raise Unprocessable(
            "payload.not_senml", f"a version beyond {VERSION_MAX} is not understood", field=f"{index}.bver"
        )
    if "bn" in record:
        base = base._replace(name=_text(record, "bn", index))
    if "bu" in record:
        base = base._replace(unit=_text(record, "bu", index))
    if "bt" in record:
        base = base._replace(time=_number(record, "bt", index))
    if "bv" in record:
        base = base._replace(value=_number(record, "bv", index))
    if "bs" in record:
        base = base._replace(sum=_number(record, "bs", index))
    return base


def _readings(record: dict[str, Any], base: _Base, index: int, full_names: bool) -> list[Reading] | None:
    """None of a record of base fields alone."""
    values = [key for key in _VALUES if key in record]
    if not values and "s" not in record:
        if not record.keys() & {"n", "u", "t"}:
            return None
        if "bv" not in record:
            raise Unprocessable("payload.not_senml", "a record without v, vs, vb, vd or s", field=str(index))
    if len(values) > 1:
        raise Unprocessable(
            "payload.not_senml", f"a record has one value, not {' and '.join(values)}", field=str(index)
        )
    name = _text(record, "n", index) if "n" in record else ""
    metric = base.name + name if full_names else name or _last_part(base.name)
    unit = _text(record, "u", index) if "u" in record else base.unit
    if unit is not None and len(unit) > UNIT_CHARS_MAX:
        raise Unprocessable(
            "value.too_large", f"a unit has at most {UNIT_CHARS_MAX} characters", field=f"{index}.u"
        )
    readings: list[Reading] = []
    for key in values or (() if "s" in record else ("v",)):
        value = record.get(key, 0)
        if type(value) not in _VALUES[key]:
            raise Unprocessable("payload.not_senml", f"`{key}` is of another type", field=f"{index}.{key}")
        _add(readings, metric, _plus(base.value, value) if key == "v" else value, unit)
    if "s" in record:
        total = _plus(base.sum, _number(record, "s", index))
        _add(readings, f"{metric}.sum", total, f"{unit}*s"[:UNIT_CHARS_MAX] if unit else None)
    return readings


def _add(readings: list[Reading], metric: str, value: Any, unit: str | None) -> None:
    add(readings, metric, value, numeric_strings=False)
    if unit:
        readings[-1] = readings[-1]._replace(unit=unit)


def _plus(base: float, value: float) -> float:
    """0 leaves a whole number as it is; infinite where a double does not reach, which `add` refuses."""
    if not base:
        return value
    try:
        total = float(base) + float(value) if type(base) is float or type(value) is float else base + value
    except OverflowError:
        total = float("inf")
    if total - total != 0:
        raise Unprocessable("value.not_finite", "a value and its base lie beyond a double's range")
    return total


def _number(record: dict[str, Any], key: str, index: int) -> float:
    value = record.get(key, 0)
    if type(value) is not float and (type(value) is not int or not INT_MIN <= value <= INT_MAX):
        raise Unprocessable("payload.not_senml", f"`{key}` is no number of 64 bits", field=f"{index}.{key}")
    return value


def _text(record: dict[str, Any], key: str, index: int) -> str:
    value = record[key]
    if type(value) is not str:
        raise Unprocessable("payload.not_senml", f"`{key}` is no text", field=f"{index}.{key}")
    return value


def _last_part(base_name: str) -> str:
    """`temperature` of `urn:dev:ow:10e2:temperature`: base names end in a separator where names follow."""
    name = base_name.rstrip(_SEPARATORS)
    cut = max(name.rfind(separator) for separator in ":/")
    return name[cut + 1 :]


def _device(base_name: str, where: Address) -> str:
    name = base_name.rstrip(_SEPARATORS)
    return checked(name) if name else named(where)


def _time(seconds: float, received: datetime) -> tuple[datetime, int]:
    """RFC 8428 §4.5.3; no time at all is the received one."""
    if not seconds:
        return received, 0
    try:
        moment = unix(seconds) if seconds >= RELATIVE_BELOW else later(received, seconds)
    except (ValueError, OverflowError):
        return received, UNPARSABLE
    return (received, FUTURE) if moment - received > AHEAD_MAX else (moment, 0)
