"""What a decoder makes of one message, without storing anything."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from datetime import UTC, datetime

from contracts.calls import Nothing
from contracts.decoder_previews import (
    READINGS_SHOWN,
    CheckDecoder,
    DecoderPreview,
    PreviewDecoder,
    PreviewFailure,
    PreviewPresence,
    PreviewReading,
    PreviewReply,
    PreviewSample,
)
from contracts.decoders import FLAGS, Decoded, Message, Replying, UnprocessableWithState
from contracts.decoders.choice import Choice, checked
from contracts.decoders.custom_expression import is_asked
from contracts.decoders.model import Sample, State
from contracts.failures import CODES, Refused, Unprocessable
from contracts.streams import PAYLOAD_BYTES_MAX
from contracts.topics import check_topic, device_of
from services.telemetry.sandbox.expressions import decode_many, uses_expression
from services.telemetry.sandbox.pool import Pool, Rule
from services.telemetry.sandbox.protocol import Asked, Outcome

EXPRESSION_S = 2.0


class Previews:
    def __init__(self, expressions: Pool | None) -> None:
        self._expressions = expressions

    async def check(self, query: CheckDecoder) -> Nothing:
        """Refused where its expression cannot be compiled; where nobody can say now, it is not refused."""
        choice = checked(query.decoder)
        if self._expressions is None or not uses_expression(choice.settings):
            return Nothing()
        expression = choice.settings.expression
        rule = Rule(query.organization, expression.language, expression.source, None)
        (outcome,) = await self._expressions.evaluate(rule, [Asked("x", b"{}", 0)], within_s=EXPRESSION_S)
        if isinstance(outcome, Outcome) and outcome.kind == "unreadable":
            raise Refused("decoder.settings", str(outcome.value), field="decoder.settings.expression.source")
        return Nothing()

    async def preview(self, query: PreviewDecoder) -> DecoderPreview:
        """Refused for what is wrong with the question; a message that cannot be read is an answer."""
        choice = checked(query.decoder, query.prefix)
        check_topic(query.topic, hosted=query.hosted)
        received = (query.received_at or datetime.now(UTC)).astimezone(UTC)
        hosted_device = device_of(query.topic) if query.hosted else None
        message = Message(
            query.topic, _bytes(query.payload, "payload"), received, hosted_device, query.prefix
        )
        try:
            decoded = await self._decoded(query, choice, message)
        except Unprocessable as failure:
            return DecoderPreview(
                outcome="dead_letter",
                reply=_reply(choice, message),
                failure=PreviewFailure(
                    code=failure.code,
                    title=CODES[failure.code].title,
                    detail=failure.detail,
                    field=failure.field,
                ),
            )
        return _shown(decoded, _reply(choice, message))

    async def _decoded(self, query: PreviewDecoder, choice: Choice, message: Message) -> Decoded:
        if len(message.payload) > PAYLOAD_BYTES_MAX:
            raise Unprocessable("payload.too_large", f"a payload has at most {PAYLOAD_BYTES_MAX} bytes")
        if uses_expression(choice.settings) and is_asked(message, choice.settings):
            return await self._evaluated(query.organization, choice, message)
        if choice.stateful is None:
            return choice.decoder.decode(message, choice.settings)
        states: dict[str, State] = {}
        for at, earlier in enumerate(query.preceding):
            payload = _bytes(earlier.payload, f"preceding.{at}.payload")
            _learn(states, choice, message._replace(topic=earlier.topic, payload=payload))
        return choice.decoder.decode(_with_state(states, choice, message), choice.settings)

    async def _evaluated(self, organization: str, choice: Choice, message: Message) -> Decoded:
        if self._expressions is None:
            raise Unprocessable("decoder.unavailable", "expressions are not evaluated here")
        (read,) = await decode_many(
            self._expressions, organization, choice.settings, [message], within_s=EXPRESSION_S
        )
        if isinstance(read, Unprocessable):
            raise read
        return read


def _bytes(text: str, field: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise Refused("request.invalid", "this is no base64", field=field) from None


def _with_state(states: dict[str, State], choice: Choice, message: Message) -> Message:
    assert choice.stateful is not None
    key = choice.stateful.state_key(message.topic)
    return message if key is None else message._replace(state=states.get(key))


def _learn(states: dict[str, State], choice: Choice, message: Message) -> None:
    """From a message that came before; one that cannot be read teaches what it would have taught."""
    assert choice.stateful is not None
    try:
        learnt = choice.decoder.decode(_with_state(states, choice, message), choice.settings).state
    except UnprocessableWithState as failure:
        learnt = failure.state
    except Unprocessable:
        return
    key = choice.stateful.state_key(message.topic)
    if learnt is not None and key is not None:
        states[key] = learnt


def _reply(choice: Choice, message: Message) -> PreviewReply | None:
    decoder: object = choice.decoder
    reply = decoder.reply(message.topic, message.payload) if isinstance(decoder, Replying) else None
    return None if reply is None else PreviewReply(topic=reply.topic, payload=reply.payload.decode())


def _shown(decoded: Decoded, reply: PreviewReply | None) -> DecoderPreview:
    said = [*filter(None, [decoded.presence]), *decoded.presences][:READINGS_SHOWN]
    return DecoderPreview(
        outcome="readings" if decoded.samples else "presence" if said else "nothing",
        samples=_samples(decoded.samples),
        readings=sum(len(sample.readings) for sample in decoded.samples),
        presence=tuple(
            PreviewPresence(
                device_id=one.device_id,
                online=one.online,
                reason=one.reason,
                timestamp=one.time,
                word=one.word,
            )
            for one in said
        ),
        reply=reply,
    )


def _samples(samples: list[Sample]) -> tuple[PreviewSample, ...]:
    shown, left = [], READINGS_SHOWN
    for sample in samples[:READINGS_SHOWN]:
        readings = tuple(
            PreviewReading(metric=metric, value=value, unit=unit)
            for metric, value, unit in sample.readings[:left]
        )
        left -= len(readings)
        flags = tuple(name for bit, name in FLAGS.items() if sample.flags & bit)
        shown.append(
            PreviewSample(device_id=sample.device_id, timestamp=sample.time, flags=flags, readings=readings)
        )
        if not left:
            break
    return tuple(shown)
