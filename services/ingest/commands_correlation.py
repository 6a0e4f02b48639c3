"""The Correlation Data of an MQTT 5 message (5 §3.3.2.3.6), by which a device says which command it answers."""

from __future__ import annotations

import re

from services.ingest import packets
from services.ingest.frames import Malformed

# Ours are texts like these; anything else is another application's, and no header could hold it.
_OURS = re.compile(rb"[\x21-\x7e]{1,128}")


def correlation(properties: bytes) -> str | None:
    """Of a PUBLISH's properties, their length in front."""
    try:
        found, _ = packets.properties(properties, 0)
    except (Malformed, IndexError):
        return None
    value = found.get(packets.CORRELATION_DATA, b"")
    return value.decode() if _OURS.fullmatch(value) else None
