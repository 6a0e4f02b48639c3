"""The key-encryption keys: the first wraps what is new, all of them open what is there.

Form: `id:base64,id:base64`, or one base64 alone. What is stored names a key by its fingerprint, so the ids are
for people, and may change.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import NamedTuple

KEY_BYTES = 32
FINGERPRINT_BYTES = 4
KEYS_MAX = 8  # an operator who rotates daily and never drops one is told so
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Key(NamedTuple):
    id: str
    value: bytes

    def __repr__(self) -> str:
        return f"Key({self.id})"


def fingerprint(key: bytes) -> bytes:
    """What stands beside a wrapped data key."""
    return hashlib.sha256(b"hybridmq key id" + key).digest()[:FINGERPRINT_BYTES]


def parse(text: str) -> tuple[Key, ...]:
    """The keys, the current one first. Raises ValueError without a word of what is secret."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > KEYS_MAX:
        raise ValueError(f"at most {KEYS_MAX} keys: drop those that nothing is sealed with any more")
    keys = tuple(_key(part) for part in parts)
    if len({key.id for key in keys}) < len(keys):
        raise ValueError("two keys have the same id")
    if len({fingerprint(key.value) for key in keys}) < len(keys):
        raise ValueError("the same key stands there twice")
    return keys


def _key(part: str) -> Key:
    id, colon, encoded = part.rpartition(":")
    try:
        value = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        value = b""
    if len(value) != KEY_BYTES:
        raise ValueError(f"must be the base64 of {KEY_BYTES} bytes (openssl rand -base64 {KEY_BYTES})")
    if not colon:
        return Key(fingerprint(value).hex(), value)
    if not _ID.fullmatch(id):
        raise ValueError("a key's id has 1 to 64 letters, digits, `_`, `.` and `-`")
    return Key(id, value)
