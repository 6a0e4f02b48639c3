"""As much of a CBOR writer (RFC 8949) as tests need."""

from __future__ import annotations

import struct
from typing import Any


def dump(value: Any) -> bytes:
    match value:
        case None:
            return b"\xf6"
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int() if value >= 0:
            return head(0, value)
        case int():
            return head(1, -1 - value)
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case bytes():
            return head(2, len(value)) + value
        case str():
            data = value.encode(errors="surrogatepass")
            return head(3, len(data)) + data
        case list():
            return head(4, len(value)) + b"".join(map(dump, value))
        case dict():
            return head(5, len(value)) + b"".join(dump(key) + dump(inner) for key, inner in value.items())
    raise TypeError(type(value))


def head(major: int, count: int) -> bytes:
    if count < 24:
        return bytes([major << 5 | count])
    size = next(bits for bits in range(4) if count < 1 << (8 << bits))
    return bytes([major << 5 | 24 + size]) + count.to_bytes(1 << size)
