"""Bodies that come compressed by gzip (RFC 9110 §8.4.1.3): never more out than a route's limit allows."""

from __future__ import annotations

import zlib

from contracts.failures import Refused

GZIP = "gzip"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class Gunzip:
    """Bytes in as they come, plain bytes out. Raises Refused("request.malformed")."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP_WINDOW)
        self._held = b""

    def feed(self, data: bytes, most: int) -> bytes:
        """At most `most` plain bytes (> 0) of what has come; `more` says whether others wait."""
        data = self._held + data
        if self._inflate.eof and data:  # a further member (RFC 1952 §2.2)
            self._inflate = zlib.decompressobj(_GZIP_WINDOW)
        try:
            plain = self._inflate.decompress(data, most)
        except zlib.error as error:
            raise Refused("request.malformed", "the body is no gzip") from error
        self._held = self._inflate.unconsumed_tail or self._inflate.unused_data
        return plain

    @property
    def more(self) -> bool:
        return bool(self._held)

    def finish(self) -> None:
        """Raises Refused where the end is missing."""
        if not self._inflate.eof:
            raise Refused("request.malformed", "the gzip ends early")


def plain(body: bytes, encoding: str, most: int) -> bytes:
    """The whole of a body. Raises Refused("request.malformed"), ("request.too_large")."""
    if encoding != GZIP:
        return body
    gunzip = Gunzip()
    found = gunzip.feed(body, most + 1)
    while gunzip.more and len(found) <= most:
        found += gunzip.feed(b"", most + 1 - len(found))
    if len(found) > most:
        raise Refused("request.too_large", f"uncompressed, the body has more than {most} bytes")
    gunzip.finish()
    return found
