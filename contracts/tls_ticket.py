"""What the TLS relay tells the credentials service of a connection that it ended the encryption of.

nats-server never asks a device for a certificate that it may also leave out, and hears no address from a relay.
So the relay puts a ticket in the place of the CONNECT packet's password: the password, the device's address and
what its verified certificate says, authenticated by a key that the relay and the credentials service share.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import NamedTuple

PREFIX = "hmq_tls_"
NO_USERNAME = "-"  # where the device sent none: nats-server refuses an empty one
LASTS_S = 30  # from the CONNECT to the callout; nats-server gives up after 3 s
_MAC_BYTES = 32


class Ticket(NamedTuple):
    """`fingerprint` (SHA-256 of the certificate, hex) and `subject` (RFC 4514) are those of a certificate
    whose chain the relay has verified, `ends` when it is over (seconds since 1970); None where there is none."""

    address: str
    password: str | None
    fingerprint: str | None = None
    subject: str | None = None
    ends: float | None = None


def seal(key: bytes, ticket: Ticket, now: float) -> str:
    """The ticket as a password."""
    body = json.dumps([int(now) + LASTS_S, *ticket]).encode()
    return PREFIX + base64.urlsafe_b64encode(_mac(key, body) + body).decode()


def unseal(key: bytes, text: str, now: float) -> Ticket | None:
    """None for what no relay with this key has sealed, or too long ago."""
    try:
        sealed = base64.b64decode(text.removeprefix(PREFIX).encode("ascii"), b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    mac, body = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(key, body)):
        return None
    ends, *fields = json.loads(body)
    return Ticket(*fields) if now <= ends else None


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"hybridmq tls ticket\0" + body, hashlib.sha256)
