"""`raw`: the message is stored as it came, and read by nobody."""

from __future__ import annotations

from contracts.decoders.model import Decoded, Message
from contracts.decoders.settings import DecoderSettings


class RawSettings(DecoderSettings):
    """There is nothing to set."""


class Raw:
    name = "raw"
    version = 1
    Settings = RawSettings

    def decode(self, message: Message, settings: RawSettings) -> Decoded:
        del message, settings
        return Decoded()
