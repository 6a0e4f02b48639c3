"""MQTT 3.1.1 packets as bytes, for clients that must do exactly what a test or a benchmark says."""

import struct


def packet(first_byte: int, body: bytes) -> bytes:
    """A control packet with its remaining length."""
    length, size = b"", len(body)
    while True:
        size, digit = divmod(size, 128)
        length += bytes([digit | (128 if size else 0)])
        if not size:
            return bytes([first_byte]) + length + body


def text(value: str) -> bytes:
    """A string with its length in front."""
    data = value.encode()
    return struct.pack(">H", len(data)) + data
