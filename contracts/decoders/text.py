"""`text`: the payload as one reading."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from contracts.decoders.addressing import address, named
from contracts.decoders.flatten import add, check_stored
from contracts.decoders.limits import METRIC_CHARS_MAX, TEXT_CHARS_MAX
from contracts.decoders.model import Decoded, Example, Message, Reading, Sample
from contracts.decoders.presence import presence
from contracts.decoders.settings import DecoderSettings, NumericStrings
from contracts.failures import Unprocessable


class TextSettings(DecoderSettings):
    metric: Annotated[
        str | None,
        Field(
            title="Metric",
            description="The reading's name; the topic's last segment where this is left empty.",
            examples=["state", "firmware"],
            min_length=1,
            max_length=METRIC_CHARS_MAX,
            pattern=r"^[^\x00]+$",
        ),
    ] = None
    encoding: Annotated[
        Literal["utf-8", "latin-1"],
        Field(
            title="Encoding",
            description="How the device writes characters as bytes. Bytes that this does not know are a dead letter.",
            examples=["utf-8", "latin-1"],
        ),
    ] = "utf-8"
    strip: Annotated[
        bool,
        Field(
            title="Strip white space",
            description="Leave out spaces and line ends around the text.",
            examples=[True, False],
        ),
    ] = True
    numeric_strings: NumericStrings = False


class Text:
    name = "text"
    version = 1
    description = f"The whole payload is one reading, a text of at most {TEXT_CHARS_MAX} characters."
    example = Example("devices/s1/state", b"VALVE OPEN")
    Settings = TextSettings

    def decode(self, message: Message, settings: TextSettings) -> Decoded:
        where = address(message.topic, message.hosted_device, message.prefix)
        if where.kind == "neither":
            return Decoded()
        if where.kind == "presence":
            return Decoded(presence=presence(message, where))
        try:
            text = message.payload.decode(settings.encoding)
        except UnicodeDecodeError as error:
            raise Unprocessable(
                "payload.not_text", f"no {settings.encoding}: {error.reason}", field=f"byte {error.start}"
            ) from None
        if settings.strip:
            text = text.strip()
        if not text:
            raise Unprocessable("payload.empty", "the payload has no content")
        readings: list[Reading] = []
        add(readings, settings.metric or where.last, text, settings.numeric_strings)
        if "\0" in text:
            check_stored(readings)
        return Decoded([Sample(named(where), message.received, 0, readings)])
