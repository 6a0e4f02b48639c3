"""Whole lists as files, oldest first, of any size."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, cast, get_args

from litestar import Request, get
from litestar.params import QueryParameter
from litestar.types import ASGIApp

from contracts.exports import (
    ACTIVITY_COLUMNS,
    EXPORT_ACTIVITY,
    EXPORT_READINGS,
    POSITION_CHARS_MAX,
    READING_COLUMNS,
    SAMPLE_COLUMNS,
    ExportActivity,
    ExportPage,
    ExportReadings,
    Format,
    Shape,
)
from contracts.organizations import Principal
from contracts.telemetry import ListActivity
from services.gateway.export import Ask, Encoder, Export
from services.gateway.export_encoders import Gzip, Plain, takes_gzip
from services.gateway.parameters import Caller, From, Texts, To, span_of, texts
from services.gateway.parquet import Parquet
from services.gateway.problems import FieldError, Invalid
from services.gateway.routes.activity import FILTER, Wanted
from services.gateway.state import Backend, Gateway

_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8; header=present",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
_FAILURES = ("cursor.invalid", "limit.reached", "store.unavailable")
_READINGS_CSV = """\
timestamp,device_id,metric,value,unit,integration_id,topic,time_replaced,sequence,cursor
2026-11-21T18:00:00.000000Z,d7,temperature,21.5,°C,hosted,org_…/devices/d7/telemetry,false,48211,65f…1
"""
_READINGS_NDJSON = (
    '{"timestamp":"2026-11-21T18:00:00.000000Z","device_id":"d7","metric":"temperature","value":21.5,"unit":"°C",'
    '"integration_id":"hosted","topic":"org_…/devices/d7/telemetry","time_replaced":false,"sequence":48211,'
    '"cursor":"65f…1"}\n'
)
_ACTIVITY_NDJSON = (
    '{"time":"2026-11-21T18:00:00.000000Z","kind":"device.connected","status":"ok","summary":"d7 connected",'
    '"actor":"device:cred_…","subject":"credential:cred_…","device_id":"d7","reason":null,"duration_ms":null,'
    '"details":{},"id":"019…","cursor":"65f…1"}\n'
)

Resume = Annotated[
    str | None,
    QueryParameter(
        max_length=POSITION_CHARS_MAX,
        description="The `cursor` of the last line that arrived whole: goes on behind it",
    ),
]

ActingFor = Annotated[
    str | None,
    QueryParameter(
        max_length=64,
        description="For the admin key, as the header `X-Organization`: a link carries none",
    ),
]
"""The guard acts on it, as on the header."""


def _one_of(values: tuple[str, ...], words: str) -> Any:
    return QueryParameter(max_length=16, description=words, schema_extra={"enum": list(values)})


FORMATS: tuple[str, ...] = get_args(Format)
SHAPES: tuple[str, ...] = get_args(Shape)
ReadingsFormat = Annotated[str, _one_of(FORMATS, "Parquet needs pyarrow at the server")]
ActivityFormat = Annotated[str, _one_of(FORMATS[:2], "Of the file")]
Shaped = Annotated[
    str,
    _one_of(SHAPES, "`long`: a line a reading. `wide`: a line for all of one message, device and time"),
]


@get(
    "/v1/telemetry/export",
    opt={
        "contents": {
            "text/csv": _READINGS_CSV,
            "application/x-ndjson": _READINGS_NDJSON,
            "application/vnd.apache.parquet": None,
        },
        "answer_words": "A file, as it is read",
        "failures": (*_FAILURES, "not_found", "format.unavailable"),
    },
)
async def export_telemetry(
    gateway: Backend,
    caller: Caller,
    request: Request[Any, Any, Any],
    format: ReadingsFormat,
    shape: Shaped = "long",
    device_id: Texts = None,
    metric: Texts = None,
    integration_id: Texts = None,
    from_: From = None,
    to: To = None,
    cursor: Resume = None,
    organization: ActingFor = None,
) -> ASGIApp:
    """Export readings as a file of any size: CSV, NDJSON or Parquet, oldest first.

    Without `to` until now. What is stored meanwhile with a time that the export has passed is not in it; no reading is
    there twice. Every line ends with its `cursor`: with the one of the last line that arrived whole, and else the same
    parameters, an export that broke off goes on. A body that is not ended is not whole.

    `wide` needs `metric` in CSV, a column each, and is not for Parquet. CSV is RFC 4180's; a text that begins like a
    formula has an apostrophe before it. An organization has 2 exports at once, for at most 4 hours each; who takes
    nothing for 60 s is cut off. `Accept-Encoding: gzip` compresses.
    """
    _agrees(organization, caller)
    _check("format", format, FORMATS)
    _check("shape", shape, SHAPES)
    first, last = span_of(from_, to)
    names = texts(device_id=device_id, metric=metric, integration_id=integration_id)
    if shape == "wide" and format == "parquet":
        raise Invalid([FieldError(field="shape", detail="Parquet is `long`: a column has one type")])
    if shape == "wide" and format == "csv" and not names["metric"]:
        raise Invalid([FieldError(field="metric", detail="wide CSV has a column for each: name them")])
    query = ExportReadings(
        organization=caller.organization,
        format=cast("Format", format),
        shape=cast("Shape", shape),
        device_id=names["device_id"],
        metric=names["metric"],
        integration_id=names["integration_id"],
        from_=first,
        to=last or datetime.now(UTC),
        position=cursor,
        first=True,
    )

    async def ask(page: ExportPage | None) -> tuple[ExportPage, bytes]:
        behind = {"position": page.position, "rows": page.rows, "first": False} if page else {}
        return await gateway.ask_bulk(EXPORT_READINGS, query.model_copy(update=behind))

    columns: tuple[str, ...] = READING_COLUMNS
    if shape == "wide":
        columns = (*SAMPLE_COLUMNS, *(f"metrics.{name}" for name in names["metric"]), "cursor")
    encoder = Parquet() if format == "parquet" else _encoder(request, format, columns)
    return await _begun(gateway, caller, request, f"telemetry.{format}", encoder, ask)


@get(
    "/v1/activity/export",
    dependencies=FILTER,
    opt={
        "contents": {"text/csv": ",".join(ACTIVITY_COLUMNS) + "\n", "application/x-ndjson": _ACTIVITY_NDJSON},
        "answer_words": "A file, as it is read",
        "failures": _FAILURES,
    },
)
async def export_activity(
    gateway: Backend,
    caller: Caller,
    request: Request[Any, Any, Any],
    wanted: Wanted,
    format: ActivityFormat,
    cursor: Resume = None,
    organization: ActingFor = None,
) -> ASGIApp:
    """Export activity as a file of any size: CSV or NDJSON, oldest first.

    With the filters of `GET /v1/activity`; limits, `cursor` and what a broken body means are those of
    `GET /v1/telemetry/export`. `details` are JSON, in CSV within a cell.
    """
    _agrees(organization, caller)
    _check("format", format, FORMATS[:2])
    until = {"to": wanted.to or datetime.now(UTC)}
    listed = ListActivity(**{**wanted.model_dump(), **until}, organization=caller.organization)
    query = ExportActivity(format=cast("Any", format), wanted=listed, position=cursor)

    async def ask(page: ExportPage | None) -> tuple[ExportPage, bytes]:
        behind = {"position": page.position, "rows": page.rows} if page else {}
        return await gateway.ask_bulk(EXPORT_ACTIVITY, query.model_copy(update=behind))

    encoder = _encoder(request, format, ACTIVITY_COLUMNS)
    return await _begun(gateway, caller, request, f"activity.{format}", encoder, ask)


def _agrees(named: str | None, caller: Principal) -> None:
    """The header may name another than the address does: neither is guessed to be meant."""
    if named is not None and named != caller.organization:
        raise Invalid([FieldError(field="organization", detail="X-Organization names another")])


def _check(name: str, value: str, values: tuple[str, ...]) -> None:
    if value not in values:
        raise Invalid([FieldError(field=name, detail=f"it is one of {', '.join(values)}")])


def _encoder(request: Request[Any, Any, Any], format: str, columns: tuple[str, ...]) -> Encoder:
    head = (",".join(map(_cell, columns)) + "\r\n").encode() if format == "csv" else b""
    return Gzip(head) if _compressed(request) else Plain(head)


def _compressed(request: Request[Any, Any, Any]) -> bool:
    return takes_gzip(request.headers.get("accept-encoding", ""))


def _cell(name: str) -> str:
    """None of ours, nor one that begins with `metrics.`, is a formula."""
    return '"' + name.replace('"', '""') + '"' if any(sign in name for sign in '",\r\n') else name


async def _begun(
    gateway: Gateway,
    caller: Principal,
    request: Request[Any, Any, Any],
    name: str,
    encoder: Encoder,
    ask: Ask,
) -> ASGIApp:
    """With its first page: what is wrong is said before anything is sent."""
    gateway.exports.admit(caller.organization)
    try:
        first = await ask(None)
    except BaseException:
        gateway.exports.leave(caller.organization)
        raise
    stem, _, format = name.partition(".")
    headers = {
        "content-type": _MEDIA_TYPES[format],
        "content-disposition": f'attachment; filename="{stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{format}"',
        "vary": "accept-encoding",
        "x-accel-buffering": "no",  # nginx would hold it back
    }
    if isinstance(encoder, Gzip):
        headers["content-encoding"] = "gzip"
    answer: Any = Export(gateway, caller.organization, request.user, headers, encoder, first, ask)
    return answer  # type: ignore[no-any-return]


ROUTES = [export_telemetry, export_activity]
