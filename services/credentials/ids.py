"""Ids, client ids and names that are made up here: random, so that none can be guessed or taken twice."""

from __future__ import annotations

import re
import secrets
import string

from services.credentials.decider import Identity
from services.credentials.filters import CLIENT_ID_BYTES_MAX

ALPHABET = string.ascii_lowercase + string.digits
CHARS = 16  # 82 bits
IMPORTED = re.compile(r"org_[a-z0-9]{16}:[A-Za-z0-9_.@-]{1,64}")
ADMIN_KEY = "admin"  # there is one
CREDENTIAL = re.compile(r"cred_[a-z0-9]{16}")

_QUALITIES = (
    "amber",
    "brave",
    "calm",
    "clear",
    "eager",
    "early",
    "fleet",
    "gentle",
    "keen",
    "lively",
    "mellow",
    "swift",
)
_THINGS = (
    "alder",
    "brook",
    "cedar",
    "comet",
    "delta",
    "falcon",
    "fjord",
    "harbor",
    "heron",
    "lynx",
    "meadow",
    "otter",
)
_SUFFIX = re.compile(r"-[A-Za-z0-9_-]+")


def new_id(prefix: str) -> str:
    """`org_`, `cred_`, `key_` or `int_` and 16 random characters."""
    return f"{prefix}_{_random()}"


def new_identity() -> Identity:
    """A client id of 16 random characters (MQTT 3.1.1 lets any broker refuse more than 23) and a name."""
    name = f"{secrets.choice(_QUALITIES)}-{secrets.choice(_THINGS)}-{secrets.randbelow(1000):03}"
    return Identity(client_id=_random(), name=name)


def client_id_belongs(client_id: str, issued: str) -> bool:
    """Whether a device may connect as `client_id`: the issued one, or that with a `-suffix`.

    No issued id holds a `-`, so none is another's with a suffix.
    """
    if client_id == issued:
        return True
    return (
        len(client_id) <= CLIENT_ID_BYTES_MAX
        and client_id.startswith(issued)
        and _SUFFIX.fullmatch(client_id, len(issued)) is not None
    )


def _random() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(CHARS))
