"""What Mosquitto checks a password by: PBKDF2-SHA512 with a salt, in a form that the REGISTRY keeps (ADR 8).

`pbkdf2-sha512:<iterations>:<salt>:<hash>`, both in base64. The plain password is not known after the issue, so
this is made for every credential, whichever broker is in use.
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import NamedTuple

SCHEME = "pbkdf2-sha512"
SALT_BYTES = 12  # the plugin takes no other length
ITERATIONS = 1  # a generated secret has 238 random bits: nobody guesses it, so each guess may be cheap


class Verifier(NamedTuple):
    iterations: int
    salt: str
    hash: str


def make(password: str, *, iterations: int = ITERATIONS) -> str:
    """A new verifier; a password that a person chose needs many iterations."""
    salt = os.urandom(SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    return f"{SCHEME}:{iterations}:{base64.b64encode(salt).decode()}:{base64.b64encode(digest).decode()}"


def parse(text: str) -> Verifier:
    """The parts of what `make` gave; raises ValueError for another scheme."""
    scheme, iterations, salt, digest = text.split(":")
    if scheme != SCHEME:
        raise ValueError(f"no verifier of Mosquitto's: {scheme}")
    return Verifier(int(iterations), salt, digest)
