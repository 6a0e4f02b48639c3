"""Readings as Parquet, by pyarrow (the extra `parquet`): pages are parsed and written by C++, in a thread.

A file has row groups of at most some 8 MiB of lines, so memory does not grow with it but for its footer, some 2 KiB a
group.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
from typing import Any

from contracts.exports import PARQUET_COLUMNS
from contracts.failures import Unavailable

GROUP_BYTES = 8 * 1024 * 1024
_TYPES = {"timestamp": "timestamp", "number": "double", "time_replaced": "bool", "sequence": "int64"}


class Parquet:
    """Takes pages of the format `parquet`, which are CSV."""

    def __init__(self) -> None:
        """Raises Unavailable("format.unavailable") where pyarrow is not installed."""
        if importlib.util.find_spec("pyarrow") is None:
            raise Unavailable(
                "format.unavailable",
                "this server has no pyarrow: install it there (the extra `parquet`), or take `ndjson` or `csv`",
                field="format",
            )
        self._held: list[bytes] = []
        self._size = 0
        self._file = io.BytesIO()
        self._writer: Any = None

    async def add(self, lines: bytes) -> bytes:
        self._held.append(lines)
        self._size += len(lines)
        return await asyncio.to_thread(self._write) if self._size >= GROUP_BYTES else b""

    async def finish(self) -> bytes:
        return await asyncio.to_thread(self._end)

    def _write(self) -> bytes:
        from pyarrow import csv  # 100 MB of code: loaded with the first Parquet file

        held, self._held, self._size = b"".join(self._held), [], 0
        if self._writer is None:
            self._writer = self._begin()
        if held:
            schema = self._writer.schema
            table = csv.read_csv(
                io.BytesIO(held),
                read_options=csv.ReadOptions(
                    column_names=list(PARQUET_COLUMNS), block_size=len(held) + 1, use_threads=False
                ),
                parse_options=csv.ParseOptions(newlines_in_values=True),
                convert_options=csv.ConvertOptions(
                    column_types={field.name: field.type for field in schema},
                    timestamp_parsers=[csv.ISO8601],
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
            self._writer.write_table(table, row_group_size=table.num_rows)
        return self._taken()

    def _begin(self) -> Any:
        import pyarrow as pa
        from pyarrow import parquet

        types = {
            "timestamp": pa.timestamp("us", tz="UTC"),
            "double": pa.float64(),
            "bool": pa.bool_(),
            "int64": pa.int64(),
        }
        schema = pa.schema([(name, types.get(_TYPES.get(name, ""), pa.string())) for name in PARQUET_COLUMNS])
        return parquet.ParquetWriter(_Kept(self), schema, compression="zstd")

    def _end(self) -> bytes:
        made = self._write()
        self._writer.close()
        return made + self._taken()

    def _taken(self) -> bytes:
        made = self._file.getvalue()
        self._file = io.BytesIO()
        return made

    def write(self, data: Any) -> int:
        return self._file.write(data)


class _Kept:
    """What pyarrow takes for a file, of which what was sent is not kept."""

    def __init__(self, into: Parquet) -> None:
        self._into = into
        self._written = 0
        self.closed = False

    def write(self, data: Any) -> int:
        self._written += self._into.write(data)
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def tell(self) -> int:
        return self._written

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False
