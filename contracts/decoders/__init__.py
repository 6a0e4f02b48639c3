"""Decoders: pure functions from what a device sent to what it said. An integration picks one by name."""

from __future__ import annotations

from contracts.decoders.model import (
    FUTURE,
    UNPARSABLE,
    Decoded,
    Decoder,
    Message,
    Presence,
    Reading,
    Reply,
    Sample,
)
from contracts.decoders.raw import Raw
from contracts.decoders.standard import Standard
from contracts.failures import Unprocessable

__all__ = [
    "DEFAULT",
    "FUTURE",
    "REGISTRY",
    "UNPARSABLE",
    "Decoded",
    "Decoder",
    "Message",
    "Presence",
    "Reading",
    "Reply",
    "Sample",
    "get",
]

REGISTRY: dict[str, Decoder] = {decoder.name: decoder for decoder in (Standard(), Raw())}
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
