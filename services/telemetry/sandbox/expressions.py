"""Messages whose decoder is an expression, decoded: for the projector ahead of its batch, for previews one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from contracts.decoders import Message, custom_expression
from contracts.decoders.custom_settings import CustomSettings
from contracts.decoders.json_text import parse
from contracts.failures import Unprocessable
from runtime.observe import log, span
from runtime.pull import Entry
from services.telemetry.decoding import Choose, Read, stored_message
from services.telemetry.sandbox.pool import Failure, Pool, Rule
from services.telemetry.sandbox.protocol import Asked, Outcome

_log = log(part="expressions")
BATCH_S = 1.0  # what is not decoded by then is a dead letter: no good message waits longer for a bad one
PATIENT_S = 30.0  # where history is read again, and nobody waits behind it
PROBATION_S = 0.25  # the same for rules that are not proven
SLICE = 200  # results read at a time: 2 ms, and then others have their turn


class _Group:
    """Messages of one rule."""

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.messages: list[Message] = []


async def decode_ahead(
    pool: Pool, entries: Sequence[Entry], choose: Choose, *, patient: bool = False
) -> dict[int, Read]:
    """By their sequence, those entries that an expression is to read; `decoding.project` takes them from there."""
    groups: dict[tuple[str, str, int], tuple[CustomSettings, _Group]] = {}
    for entry in entries:
        try:
            stored = stored_message(entry)
        except Exception:  # noqa: BLE001, S112  # `project` meets it as well, and says so
            continue
        choice = choose(stored.organization, stored.source, entry.time_ns)
        settings = choice.settings
        if not uses_expression(settings) or len(stored.payload) > choice.payload_bytes_max:
            continue
        message = Message(
            stored.topic,
            stored.payload,
            stored.received,
            stored.hosted_device,
            choice.prefix,
            http_device=stored.http_device,
        )
        try:
            if not custom_expression.is_asked(message, settings):
                continue
        except Unprocessable:  # `project` meets it as well
            continue
        key = (stored.organization, stored.source, id(settings))
        _, group = groups.setdefault(key, (settings, _Group()))
        group.sequences.append(entry.sequence)
        group.messages.append(message)
    if not groups:
        return {}
    with span("evaluate expressions", rules=len(groups)):
        found = await asyncio.gather(
            *(
                decode_many(
                    pool,
                    organization,
                    settings,
                    group.messages,
                    integration=integration,
                    within_s=PATIENT_S if patient else BATCH_S,
                    probation_s=None if patient else PROBATION_S,
                )
                for (organization, integration, _), (settings, group) in groups.items()
            )
        )
    ahead: dict[int, Read] = {}
    for (_, group), reads in zip(groups.values(), found, strict=True):
        ahead.update(zip(group.sequences, reads, strict=True))
    return ahead


def uses_expression(settings: object) -> bool:
    return isinstance(settings, CustomSettings) and settings.expression is not None


async def decode_many(
    pool: Pool,
    organization: str,
    settings: CustomSettings,
    messages: Sequence[Message],
    *,
    integration: str | None = None,
    within_s: float = BATCH_S,
    probation_s: float | None = None,
) -> list[Read]:
    """One for each message; raises nothing. Messages that the expression is not asked about must not be among them."""
    expression = settings.expression
    assert expression is not None
    rule = Rule(organization, expression.language, expression.source, integration)
    asked = [
        Asked(message.topic, message.payload, int(message.received.timestamp() * 1000))
        for message in messages
    ]
    outcomes = await pool.evaluate(rule, asked, within_s=within_s, probation_s=probation_s)
    reads: list[Read] = []
    for start in range(0, len(messages), SLICE):
        part = slice(start, start + SLICE)
        reads += [
            read(outcome, message, settings)
            for outcome, message in zip(outcomes[part], messages[part], strict=True)
        ]
        await asyncio.sleep(0)
    return reads


def read(outcome: Outcome | Failure, message: Message, settings: CustomSettings) -> Read:
    """Unprocessable where the message is a dead letter, whose reason it is."""
    try:
        if isinstance(outcome, Failure):
            return _failure(outcome.code, outcome.detail)
        if outcome.kind == "value":
            return custom_expression.decoded(outcome.value, message, settings)
        if outcome.kind == "not_json":
            parse(message.payload)  # says what is wrong with it
        if outcome.kind == "too_large":
            return _failure("decoder.result", f"the result has {outcome.value} bytes")
        return _failure("decoder.failed", str(outcome.value))
    except Unprocessable as failure:
        return failure
    except Exception as error:  # noqa: BLE001  # a defect of ours: this message's trouble, nobody else's
        _log.exception("a result could not be read")
        return Unprocessable("internal", repr(error))


def _failure(code: str, detail: str) -> Unprocessable:
    return Unprocessable(code, detail, field="decoder.settings.expression")
