"""`sparkplug-b`: Eclipse Sparkplug 3.0 edge nodes and their devices."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from contracts.decoders.addressing import checked
from contracts.decoders.binary import ByteStrings
from contracts.decoders.model import GAP, Decoded, Example, Message, Presence, State, UnprocessableWithState
from contracts.decoders.settings import DecoderSettings
from contracts.decoders.sparkplug_births import NOBODY, NODE, Birth, bd_seq_of, dump, learnt, load, with_part
from contracts.decoders.sparkplug_payload import metrics as parsed
from contracts.decoders.sparkplug_samples import from_millis, samples_of
from contracts.failures import Unprocessable

NAMESPACE = "spBv1.0"
_SEQ_COUNT = 256
_OF_NODE, _OF_DEVICE = frozenset({"NBIRTH", "NDEATH", "NDATA"}), frozenset({"DBIRTH", "DDEATH", "DDATA"})
_NOT_TELEMETRY = frozenset({"NCMD", "DCMD", "STATE"})


class SparkplugSettings(DecoderSettings):
    device_names: Annotated[
        Literal["path", "short"],
        Field(
            title="Device ids",
            description="`path` makes ids of group, edge node and device, joined by colons. `short` takes the last of"
            " them alone, for those who know that it is unique.",
            examples=["path", "short"],
        ),
    ] = "path"
    byte_strings: ByteStrings = "hex"


class Address(NamedTuple):
    """What a topic says: `spBv1.0/<group>/<type>/<node>[/<device>]`, §4.1."""

    root: str  # what stands before the namespace: a bridge's prefix, a hosted device's topics
    group: str
    type: str
    node: str
    device: str | None

    @property
    def part(self) -> str:
        return NODE if self.device is None else self.device

    def device_id(self, part: str, names: str, hosted_device: str | None) -> str:
        """On the hosted broker below the device that the topic names, for no other is vouched for."""
        own = part or self.node
        if names != "short":
            own = f"{self.group}:{self.node}:{part}" if part else f"{self.group}:{self.node}"
        return checked(own if hosted_device is None else f"{hosted_device}:{own}")


class Sparkplug:
    """Names, data types and units come from births, which are kept; a rebirth teaches anew.

    - An alias that no birth explains: `decoder.alias_unknown`. Nothing is read by an alias of an earlier session.
    - A step in `seq` is no error: the samples behind it are flagged. A death of an earlier session (by `bdSeq`)
      is none. A death's own time is that of its connect, so the received one counts.
    - Data sets flatten to `<name>.<row>.<column>`, templates to `<name>.<member>`, arrays to `<name>.<index>`;
      template definitions and nulls are no readings. DateTime is milliseconds since 1970.
    - A birth that cannot be read makes its sender's aliases unknown; one whose values cannot be, not.
    """

    name = "sparkplug-b"
    version = 2  # 2: by HTTP too below the device that the topic names
    description = "Sparkplug B edge nodes and devices: births, data, deaths; aliases, templates, data sets."
    example = Example(
        "spBv1.0/plant/NBIRTH/line4",
        bytes.fromhex(
            "0880dadcc6ca33"  # 2026-03-01T10:00:00Z
            "120b0a05626453657120085807"  # bdSeq 7
            "122e0a0b74656d70657261747572651001200a4a120a07656e67556e69741207080c420343656c690000000000803540"
            "1800"  # seq 0
        ),
    )
    Settings = SparkplugSettings

    def state_key(self, topic: str) -> str | None:
        where = addressed(topic)
        return None if where is None else f"{where.root}{where.group}/{where.node}"

    def dump(self, part: Birth) -> bytes:
        return dump(part)

    def load(self, stored: bytes) -> Birth:
        return load(stored)

    def decode(self, message: Message, settings: SparkplugSettings) -> Decoded:
        where = addressed(message.topic)
        if where is None:
            return Decoded()
        held = message.state or State({})
        reader = _Reader(message, where, held, settings)
        match where.type:
            case "NBIRTH" | "DBIRTH":
                return reader.birth()
            case "NDEATH":
                return reader.death_of_node()
            case "DDEATH":
                return reader.death_of_device()
            case _:
                return reader.data()


def addressed(topic: str) -> Address | None:
    """None for commands and the state of hosts, which are no telemetry."""
    levels = topic.split("/")
    try:
        start = levels.index(NAMESPACE)
        root, levels = "".join(f"{level}/" for level in levels[:start]), levels[start + 1 :]
    except ValueError:
        raise Unprocessable("topic.invalid", f"a Sparkplug topic begins with `{NAMESPACE}/`") from None
    if levels[:1] == ["STATE"] or (len(levels) > 1 and levels[1] in _NOT_TELEMETRY):
        return None
    if not all(levels):
        raise Unprocessable("topic.invalid", "a level of the Sparkplug topic is empty")
    match levels:
        case [group, type, node] if type in _OF_NODE:
            return Address(root, group, type, node, None)
        case [group, type, node, device] if type in _OF_DEVICE:
            return Address(root, group, type, node, device)
    raise Unprocessable(
        "topic.invalid",
        f"a Sparkplug topic is `{NAMESPACE}/<group>/<type>/<node>`, for devices with `/<device>`",
    )


class _Reader:
    """One message's reading."""

    def __init__(self, message: Message, where: Address, held: State, settings: SparkplugSettings) -> None:
        self.message, self.where, self.held, self.settings = message, where, held, settings
        self.device = where.device_id(where.part, settings.device_names, message.vouched_device)

    def birth(self) -> Decoded:
        where, data, held = self.where, self.message.payload, self.held
        try:
            payload, metrics = parsed(data)
            born = learnt(data, metrics)
            # A node's birth is that of a session: what its devices said in the last one is over.
            kept = {k: v for k, v in held.parts.items() if k == NODE} if where.device is None else held.parts
            parts = with_part(kept, where.part, born)
        except Unprocessable as failure:
            raise self._failed(failure, self._without_part()) from None
        seq = _seq(payload)
        gap = self._gap(seq) if where.device is not None else 0
        state = State(parts, self._counter(seq))
        moment, flags = self._time(payload)
        try:
            samples = samples_of(self.message, self.device, metrics, born, moment, flags | gap, self.settings)
        except Unprocessable as failure:
            raise self._failed(failure, state) from None
        return Decoded(samples, Presence(self.device, True, "status", moment, flags), state=state)

    def data(self) -> Decoded:
        where = self.where
        payload, metrics = parsed(self.message.payload)
        seq = _seq(payload)
        gap = self._gap(seq)
        state = State(self.held.parts, self._counter(seq))
        moment, flags = self._time(payload)
        born = self.held.parts.get(where.part, NOBODY)
        try:
            samples = samples_of(self.message, self.device, metrics, born, moment, flags | gap, self.settings)
        except Unprocessable as failure:
            if failure.code == "decoder.alias_unknown":
                failure = self._advised(failure)
            raise self._failed(failure, state) from None
        return Decoded(samples, state=state)

    def death_of_node(self) -> Decoded:
        _, metrics = parsed(self.message.payload)
        died, lives = bd_seq_of(metrics), self.held.parts.get(NODE, NOBODY).bd_seq
        if died is not None and lives is not None and died != lives:
            return Decoded()  # the will of an earlier session, whose connection ended late
        # Remembered as a session without names: nothing is read by aliases until the next birth.
        state = State({NODE: Birth({}, {}, died)}, -1)
        names, hosted = self.settings.device_names, self.message.vouched_device
        gone = [
            Presence(self.where.device_id(part, names, hosted), False, "last-will", self.message.received)
            for part in (NODE, *(part for part in self.held.parts if part != NODE))
        ]
        return Decoded(presences=gone, state=state)

    def death_of_device(self) -> Decoded:
        payload, _ = parsed(self.message.payload)
        seq = _seq(payload)
        moment, flags = self._time(payload)
        state = State(self._without_part().parts, self._counter(seq))
        return Decoded(presence=Presence(self.device, False, "status", moment, flags), state=state)

    def _time(self, payload: dict[str, Any]) -> tuple[datetime, int]:
        return from_millis(payload.get("timestamp"), self.message.received)

    def _counter(self, seq: int | None) -> int:
        return self.held.counter if seq is None else seq

    def _gap(self, seq: int | None) -> int:
        """GAP where messages are missing before this one; the same number again is a redelivered one."""
        last = self.held.counter
        if seq is None or last < 0 or seq in (last, (last + 1) % _SEQ_COUNT):
            return 0
        return GAP

    def _without_part(self) -> State:
        """Without what the sender's birth taught; a node's birth spoke for its devices as well."""
        part = self.where.part
        return State(
            {} if part == NODE else {k: v for k, v in self.held.parts.items() if k != part}, self.held.counter
        )

    def _advised(self, failure: Unprocessable) -> Unprocessable:
        group, node = self.where.group, self.where.node
        return Unprocessable(
            failure.code,
            f"{failure.detail}. Ask for a rebirth: publish `Node Control/Rebirth` = true to"
            f" `{self.where.root}{NAMESPACE}/{group}/NCMD/{node}`",
            field=failure.field,
        )

    def _failed(self, failure: Unprocessable, state: State) -> UnprocessableWithState:
        return UnprocessableWithState(failure.code, failure.detail, state, field=failure.field)


def _seq(payload: dict[str, Any]) -> int | None:
    seq = payload.get("seq")
    if seq is not None and seq >= _SEQ_COUNT:
        raise Unprocessable("payload.not_sparkplug", f"`seq` is below {_SEQ_COUNT}", field="seq")
    return seq
