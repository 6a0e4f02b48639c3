"""What was measured: readings, raw messages. Newest first."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from contracts.calls import Page
from contracts.telemetry import (
    LIST_MESSAGES,
    LIST_TELEMETRY,
    ListMessages,
    ListTelemetry,
    MessageRow,
    TelemetryRow,
)
from services.gateway.parameters import Caller, Cursor, From, Limit, Text, Texts, To, span_of, texts
from services.gateway.problems import FieldError, Invalid
from services.gateway.state import Backend

Include = Annotated[
    str | None,
    QueryParameter(max_length=64, schema_extra={"enum": ["provenance"]}, description="What to add"),
]


@get("/v1/telemetry", failures=("not_found",))
async def list_telemetry(
    gateway: Backend,
    caller: Caller,
    device_id: Texts = None,
    metric: Texts = None,
    integration_id: Texts = None,
    from_: From = None,
    to: To = None,
    include: Include = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[TelemetryRow]:
    """List readings, newest first; without arguments the last 100.

    As they came: `/v1/telemetry/series` has them in buckets of time, `/v1/telemetry/latest` the newest of each
    device. A device that was never heard of is `not_found`; a metric that none has gives an empty list.

    `include=provenance`: of which message each is (the log's epoch, the sequence), by which decoder in which
    version, and what to know of its time."""
    if include not in (None, "provenance"):
        raise Invalid([FieldError(field="include", detail="`provenance` can be included")])
    first, last = span_of(from_, to)
    query = ListTelemetry(
        organization=caller.organization,
        **texts(device_id=device_id, metric=metric, integration_id=integration_id),
        from_=first,
        to=last,
        provenance=include is not None,
        limit=limit,
        cursor=cursor,
    )
    return await gateway.ask(LIST_TELEMETRY, query)


@get("/v1/messages")
async def list_messages(
    gateway: Backend,
    caller: Caller,
    device_id: Text = None,
    integration_id: Text = None,
    from_: From = None,
    to: To = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[MessageRow]:
    """List raw messages with their payload, newest first. `failure` says why one could not be decoded."""
    first, last = span_of(from_, to)
    query = ListMessages(
        organization=caller.organization,
        device_id=device_id,
        integration_id=integration_id,
        from_=first,
        to=last,
        limit=limit,
        cursor=cursor,
    )
    return await gateway.ask(LIST_MESSAGES, query)


ROUTES = [list_telemetry, list_messages]
