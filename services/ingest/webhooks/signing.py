"""Signatures of Standard Webhooks 1.0.0 (spec/standard-webhooks.md, "Signature scheme", "Webhook headers"). Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from contracts.webhooks import SECRET_PREFIX


def signature(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 over `id.timestamp.body`, in base64; `secret` is `whsec_…`."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(signed.digest()).decode()


def signed_headers(secrets: Sequence[str], id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """One signature for each secret that holds: receivers take the call if one fits."""
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(secret, id, timestamp, body) for secret in secrets),
    }
