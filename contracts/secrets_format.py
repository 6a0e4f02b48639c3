"""The form of generated secrets: `hmq_<kind>_<40 base62 characters><6 of checksum>`.

40 base62 characters carry 238 random bits. The prefix lets secret scanners recognise a leak; the checksum
(CRC-32, base62) lets a typing error be refused before anything is looked up.
"""

from __future__ import annotations

import secrets
import string
import zlib
from typing import Literal

Kind = Literal["dev", "key", "admin"]
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_CHARS = 40
CHECK_CHARS = 6  # 62**6 > 2**32


def mint(kind: Kind) -> str:
    """A new secret of this kind."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARS))
    head = f"hmq_{kind}_{body}"
    return head + _checksum(head)


def well_formed(secret: str, kind: Kind) -> bool:
    """Whether the prefix, the length and the checksum are right; says nothing about validity."""
    head, check = secret[:-CHECK_CHARS], secret[-CHECK_CHARS:]
    prefix = f"hmq_{kind}_"
    return (
        secret.isascii()
        and head.startswith(prefix)
        and len(head) == len(prefix) + RANDOM_CHARS
        and check == _checksum(head)
    )


def hint(secret: str) -> str:
    """The part that lists may show: enough to recognise a secret, useless for guessing it."""
    prefix_end = secret.index("_", 4) + 1
    return secret[: prefix_end + 4]


def _checksum(head: str) -> str:
    number = zlib.crc32(head.encode())
    digits = []
    for _ in range(CHECK_CHARS):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
