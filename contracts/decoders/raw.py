"""`raw`: the message is stored as it came, and read by nobody."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from contracts.decoders.model import Decoded, Message


class RawSettings(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Raw:
    name = "raw"
    version = 1
    Settings = RawSettings

    def decode(self, message: Message, settings: RawSettings) -> Decoded:
        del message, settings
        return Decoded()
