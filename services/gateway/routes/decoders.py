"""Decoders: which there are, what can be set, and what one would make of a message."""

from __future__ import annotations

import base64
from typing import Annotated

from litestar import get, post
from litestar.params import JSONBody
from pydantic import AwareDatetime, Field

from contracts.calls import Page
from contracts.decoder_previews import (
    EARLIER_CHARS_MAX,
    PRECEDING_MAX,
    PREVIEW_DECODER,
    DecoderExample,
    DecoderPreview,
    DecoderView,
    Earlier,
    PreviewDecoder,
    Topic,
)
from contracts.decoders import REGISTRY, Decoder, Replying, Stateful
from contracts.integrations import DecoderChoice
from services.gateway.parameters import Caller
from services.gateway.payloads import WithPayload
from services.gateway.problems import FieldError, Invalid
from services.gateway.state import Backend

PREFIX_CHARS_MAX = 200


class PrecedingMessage(WithPayload):
    """A message that came before, for decoders that remember (births)."""

    topic: Topic


class MessageToPreview(WithPayload):
    """`prefix` is the integration's topic prefix; `hosted`, whether it comes by the hosted broker.

    `payload`: text goes as it is, any other JSON value as its JSON. `payload_base64`: any bytes.
    """

    decoder: DecoderChoice
    topic: Topic
    prefix: Annotated[str, Field(max_length=PREFIX_CHARS_MAX)] | None = None
    hosted: bool = False
    received_at: AwareDatetime | None = None
    preceding: Annotated[tuple[PrecedingMessage, ...], Field(max_length=PRECEDING_MAX)] = ()


@get("/v1/decoders")
async def list_decoders(caller: Caller) -> Page[DecoderView]:
    """List decoders: how each reads messages, and the JSON Schema of what can be set."""
    del caller  # the same for everybody
    return Page(items=_VIEWS)


@post(
    "/v1/decoders/preview",
    status_code=200,
    opt={"failures": ("decoder.unknown", "decoder.settings", "topic.invalid", "payload.too_large")},
)
async def preview_decoder(
    data: JSONBody[MessageToPreview], gateway: Backend, caller: Caller
) -> DecoderPreview:
    """Preview a decoder: what it would make of a message, or why that would be a dead letter. Nothing is stored."""
    query = PreviewDecoder(
        organization=caller.organization,
        decoder=data.decoder,
        topic=data.topic,
        payload=_base64(data),
        prefix=data.prefix,
        hosted=data.hosted,
        received_at=data.received_at,
        preceding=tuple(_earlier(at, each) for at, each in enumerate(data.preceding)),
    )
    return await gateway.ask(PREVIEW_DECODER, query)


def _earlier(at: int, sent: PrecedingMessage) -> Earlier:
    payload = _base64(sent)
    if len(payload) > EARLIER_CHARS_MAX:
        why = f"at most {EARLIER_CHARS_MAX * 3 // 4} bytes"
        raise Invalid([FieldError(field=f"preceding.{at}.payload", detail=why)])
    return Earlier(topic=sent.topic, payload=payload)


def _base64(sent: WithPayload) -> str:
    return base64.b64encode(sent.payload_bytes()).decode()


def _view(decoder: Decoder) -> DecoderView:
    held: object = decoder
    payload = decoder.example.payload
    try:
        example = DecoderExample(topic=decoder.example.topic, payload=payload.decode(), encoding="utf-8")
    except UnicodeDecodeError:
        text = base64.b64encode(payload).decode()
        example = DecoderExample(topic=decoder.example.topic, payload=text, encoding="base64")
    return DecoderView(
        name=decoder.name,
        version=decoder.version,
        description=decoder.description,
        settings_schema=decoder.Settings.model_json_schema(),
        replies=isinstance(held, Replying),
        remembers=isinstance(held, Stateful),
        example=example,
    )


_VIEWS = [_view(decoder) for decoder in REGISTRY.values()]
ROUTES = [list_decoders, preview_decoder]
