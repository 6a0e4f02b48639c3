"""CBOR (RFC 8949) to plain Python values: strict, and bounded in depth, size and time.

Not a library's: those make whatever objects the sender's tags ask for (regular expressions, references,
numbers of a million digits).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

from contracts.decoders.limits import DEPTH_MAX, ITEMS_MAX
from contracts.failures import Unprocessable

_BIGNUM_BYTES_MAX = 128  # 1,024 bits: what a double's range ends with
_EXPONENT_MAX = 1_000  # of tags 4 and 5, beyond which every double is 0 or infinite anyhow
_HALF, _SINGLE, _DOUBLE = struct.Struct(">e"), struct.Struct(">f"), struct.Struct(">d")
_BREAK = object()  # RFC 8949 §3.2.1


def read(payload: bytes, bytes_as: Callable[[bytes], str | None]) -> Any:
    """None, bool, finite number, str, list, or dict with text keys (whole numbers as their digits).

    Byte strings become what `bytes_as` makes of them. `payload.not_cbor` names the byte where it went wrong.
    """
    if not payload:
        raise Unprocessable("payload.empty", "the payload has no content")
    reader = _Reader(payload, bytes_as)
    try:
        value = reader.item(0)
    except (IndexError, struct.error):
        raise _wrong("it ends within an item", len(payload)) from None
    except UnicodeDecodeError:
        raise _wrong("a text that is not UTF-8", reader.at) from None
    if value is _BREAK:
        raise _wrong("a break outside of any item", 0)
    if reader.at != len(payload):
        raise _wrong("more bytes than its one item", reader.at)
    return bytes_as(value) if type(value) is bytes else value


def _wrong(what: str, at: int) -> Unprocessable:
    return Unprocessable("payload.not_cbor", f"{what}, at byte {at}", field=f"byte {at}")


def _not_finite(at: int) -> Unprocessable:
    return Unprocessable(
        "value.not_finite", f"NaN, infinite or beyond a double, at byte {at}", field=f"byte {at}"
    )


def _too_many(at: int) -> Unprocessable:
    return Unprocessable("payload.too_many", f"over {ITEMS_MAX} items, at byte {at}", field=f"byte {at}")


class _Reader:
    __slots__ = ("at", "bytes_as", "data", "left")

    def __init__(self, data: bytes, bytes_as: Callable[[bytes], str | None]) -> None:
        self.data, self.bytes_as = data, bytes_as
        self.at = 0
        self.left = ITEMS_MAX

    def item(self, depth: int) -> Any:
        """The value at `at`, byte strings as they are; a break where one stands."""
        if depth > DEPTH_MAX + 2:  # those of a document, and what `flatten` then refuses by name
            raise Unprocessable("payload.too_deep", f"over {DEPTH_MAX} levels of nesting")
        self.left -= 1
        if self.left < 0:
            raise _too_many(self.at)
        first = self.data[self.at]
        major, info = first >> 5, first & 31
        self.at += 1
        if major == 7:
            return self._simple(info)
        count = self._argument(info) if info != 31 else None
        if major == 0 and count is not None:
            return count
        if major == 1 and count is not None:
            return -1 - count
        if major == 2:
            return self._bytes(count, 2)
        if major == 3:
            return self._bytes(count, 3).decode()
        if major == 4:
            return self._list(count, depth)
        if major == 5:
            return self._map(count, depth)
        if count is None:
            raise _wrong("an indefinite length where there is none", self.at - 1)
        return _tagged(count, self.item(depth + 1), self.at)

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise _wrong("a reserved length", self.at - 1)
        size = 1 << (info - 24)
        self.at += size
        if self.at > len(self.data):
            raise IndexError
        return int.from_bytes(self.data[self.at - size : self.at])

    def _bytes(self, count: int | None, major: int) -> bytes:
        if count is not None:
            return self._take(count)
        chunks = []
        while (head := self.data[self.at]) != 0xFF:  # §3.2.3: chunks of the same type and a definite length
            if head >> 5 != major or head & 31 == 31:
                raise _wrong("a chunk of another type", self.at)
            self.at += 1
            self.left -= 1
            if self.left < 0:
                raise _too_many(self.at)
            chunk = self._take(self._argument(head & 31))
            if major == 3:
                chunk.decode()
            chunks.append(chunk)
        self.at += 1
        return b"".join(chunks)

    def _take(self, count: int) -> bytes:
        start = self.at
        self._expect(count)
        self.at = start + count
        return self.data[start : self.at]

    def _expect(self, count: int) -> None:
        """Every item takes a byte at least: a length beyond the rest is refused before anything is made."""
        if count > len(self.data) - self.at:
            raise _wrong(f"a length of {count} beyond the payload's end", self.at)

    def _list(self, count: int | None, depth: int) -> list[Any]:
        values: list[Any] = []
        if count is not None:
            self._expect(count)
            values.extend(self._value(depth) for _ in range(count))
            return values
        while self.data[self.at] != 0xFF:
            values.append(self._value(depth))
        self.at += 1
        return values

    def _map(self, count: int | None, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if count is not None:
            self._expect(2 * count)
        while count is None or count > 0:
            start = self.at
            key = self.item(depth + 1)
            if key is _BREAK and count is None:
                break
            if type(key) is int:
                key = str(key)
            elif type(key) is not str:
                raise _wrong("a key that is neither text nor a whole number", start)
            if key in values:  # §5.6: not valid
                raise _wrong(f"the key {key[:40]!r} a second time", start)
            values[key] = self._value(depth)
            if count is not None:
                count -= 1
        return values

    def _value(self, depth: int) -> Any:
        value = self.item(depth + 1)
        if value is _BREAK:
            raise _wrong("a break in place of a value", self.at - 1)
        return self.bytes_as(value) if type(value) is bytes else value

    def _simple(self, info: int) -> Any:
        if info in (20, 21):
            return info == 21
        if info in (22, 23):  # null, undefined
            return None
        if info in (25, 26, 27):
            number = (_HALF, _SINGLE, _DOUBLE)[info - 25]
            self.at += number.size
            value = number.unpack_from(self.data, self.at - number.size)[0]
            if value - value != 0:
                raise _not_finite(self.at - number.size)
            return value
        if info == 31:
            return _BREAK
        raise _wrong("a simple value without a meaning", self.at - 1)


def _tagged(tag: int, value: Any, at: int) -> Any:
    """Numbers of other notations (RFC 8949 §3.4.3, §3.4.4); a tag that says how to read the rest is dropped."""
    if value is _BREAK:
        raise _wrong("a break in place of a tag's value", at - 1)
    if tag in (2, 3):
        if type(value) is not bytes:
            raise _wrong("a bignum that is no byte string", at)
        if len(value.lstrip(b"\0")) > _BIGNUM_BYTES_MAX:
            raise _not_finite(at)
        number = int.from_bytes(value)
        return number if tag == 2 else -1 - number
    if tag in (4, 5):
        match value:
            case [int(exponent), int(mantissa)] if type(exponent) is int and type(mantissa) is int:
                scaled = _scaled(mantissa, exponent, tag)
                if scaled - scaled != 0:
                    raise _not_finite(at)
                return scaled
        raise _wrong("a fraction that is not [exponent, mantissa]", at)
    return value


def _scaled(mantissa: int, exponent: int, tag: int) -> int | float:
    if mantissa == 0 or exponent < -_EXPONENT_MAX:
        return 0 if mantissa == 0 else 0.0
    try:
        if tag == 5:
            return math.ldexp(mantissa, exponent)
        return float(f"{mantissa}e{exponent}") if exponent <= _EXPONENT_MAX else math.inf
    except OverflowError:
        return math.inf
