"""Decoders: pure functions from what a device sent to what it said. An integration picks one by name."""

from __future__ import annotations

from contracts.decoders.cbor import Cbor
from contracts.decoders.custom import Custom
from contracts.decoders.model import (
    AMBIGUOUS,
    DOUBTFUL,
    FLAGS,
    FUTURE,
    GAP,
    HISTORICAL,
    OLD,
    REPLACED,
    UNPARSABLE,
    Decoded,
    Decoder,
    Example,
    Message,
    Presence,
    Reading,
    Reply,
    Replying,
    Sample,
    State,
    Stateful,
    UnprocessableWithState,
)
from contracts.decoders.raw import Raw
from contracts.decoders.senml import Senml
from contracts.decoders.sparkplug import Sparkplug
from contracts.decoders.standard import Standard
from contracts.decoders.text import Text
from contracts.decoders.vmark import Vmark
from contracts.failures import Unprocessable

__all__ = [
    "AMBIGUOUS",
    "DEFAULT",
    "DOUBTFUL",
    "FLAGS",
    "FUTURE",
    "GAP",
    "HISTORICAL",
    "OLD",
    "REGISTRY",
    "REPLACED",
    "UNPARSABLE",
    "Decoded",
    "Decoder",
    "Example",
    "Message",
    "Presence",
    "Reading",
    "Reply",
    "Replying",
    "Sample",
    "State",
    "Stateful",
    "UnprocessableWithState",
    "get",
    "reply",
]

REGISTRY: dict[str, Decoder] = {
    decoder.name: decoder
    for decoder in (Standard(), Vmark(), Custom(), Senml(), Cbor(), Sparkplug(), Text(), Raw())
}
DEFAULT = Standard.name


def get(name: str) -> Decoder:
    """The decoder of this name, in its newest version; `decoder.unknown` where there is none."""
    try:
        return REGISTRY[name]
    except KeyError:
        known = ", ".join(sorted(REGISTRY))
        raise Unprocessable(
            "decoder.unknown", f"no decoder is named {name!r}: there are {known}", field="decoder.name"
        ) from None


def reply(name: str, topic: str, payload: bytes) -> Reply | None:
    """What a device whose integration has this decoder waits for, once its message is in the log."""
    decoder: object = REGISTRY.get(name)
    return decoder.reply(topic, payload) if isinstance(decoder, Replying) else None
