"""Which partition of MESSAGES a device's messages are in."""

from __future__ import annotations

from functools import lru_cache

OFFSET, PRIME, MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF  # FNV-1a of 32 bits (draft-eastlake-fnv)
# About 10 MB at most. A busy fleet's devices repeat all day; hashing in Python costs some µs, a look-up 0.1.
CACHED_MAX = 65_536


@lru_cache(maxsize=CACHED_MAX)
def partition(organization: str, device: str, n: int = 8) -> int:
    """The same number in 0..n-1 that nats-server's `{{partition(n,1,2)}}` gives for these two tokens.

    The server hashes the tokens as they stand in the subject, where a `.` of an MQTT level is `//`;
    `device` may be given in either spelling.
    """
    number = OFFSET
    for byte in f"{organization}{device.replace('.', '//')}".encode():
        number = ((number ^ byte) * PRIME) & MASK
    return number % n
