"""Exports: whole lists, page by page, each as the text of a file; oldest first.

A position (a cursor, to the caller) names a line: whose it is, `time.sequence.epoch` of its row, and what tells apart
the lines of one row, each as hexadecimal digits. It stands at the end of every line, so an export is resumed behind the
last line that arrived whole.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from contracts.calls import BulkCall, Model
from contracts.telemetry import ListActivity, Names

Format = Literal["csv", "ndjson", "parquet"]
Shape = Literal["long", "wide"]

PAGE_BYTES_MAX = 900 * 1024  # one answer on the bus, whose messages have 1 MiB
POSITION_CHARS_MAX = 96
ROWS_MIN, ROWS_MAX = 100, 20_000  # that a page looks at: some 50 ms of the database's
Position = Annotated[str, Field(max_length=POSITION_CHARS_MAX)]

READING_COLUMNS = (
    "timestamp",
    "device_id",
    "metric",
    "value",
    "unit",
    "integration_id",
    "topic",
    "time_replaced",
    "sequence",
    "cursor",
)
PARQUET_COLUMNS = (*READING_COLUMNS[:3], "number", "text", *READING_COLUMNS[4:])
"""What a page of the format `parquet` has, as CSV that is not made safe for spreadsheets. `number` is the value of
numbers; `text` that of texts, of booleans, and of integers that no double holds exactly."""
SAMPLE_COLUMNS = ("timestamp", "device_id", "integration_id", "topic", "time_replaced", "sequence")
"""Of the wide form; `metrics.<name>` for each metric and the cursor follow."""
ACTIVITY_COLUMNS = (
    "time",
    "kind",
    "status",
    "summary",
    "actor",
    "subject",
    "device_id",
    "reason",
    "duration_ms",
    "details",
    "trace_id",
    "id",
    "cursor",
)


class ExportReadings(Model):
    """`long`: a line a reading. `wide`: a line a sample, in CSV with a column for each of `metric`."""

    organization: str
    format: Format
    shape: Shape = "long"
    device_id: Names = ()
    metric: Names = ()
    integration_id: Names = ()
    from_: AwareDatetime | None = None  # inclusive
    to: AwareDatetime | None = None  # exclusive
    position: Position | None = None
    rows: Annotated[int, Field(ge=1, le=ROWS_MAX)] = 1000  # to look at, as the page before says
    first: bool = False  # of an export: that there are such devices is looked up once


class ExportActivity(Model):
    format: Literal["csv", "ndjson"]
    wanted: ListActivity  # its filters; not its limit and cursor
    position: Position | None = None
    rows: Annotated[int, Field(ge=1, le=ROWS_MAX)] = 1000


class ExportPage(Model):
    """The lines are beside it, without a header line. `position` is None behind the last page."""

    position: str | None
    rows: int  # for the next one to look at


EXPORT_READINGS = BulkCall("query.telemetry.export-readings", ExportReadings, ExportPage, timeout_s=40.0)
EXPORT_ACTIVITY = BulkCall("query.telemetry.export-activity", ExportActivity, ExportPage, timeout_s=40.0)
