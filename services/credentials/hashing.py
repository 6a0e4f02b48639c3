"""Keyed hashes: generated secrets are known by these alone, and command ids go by them."""

from __future__ import annotations

import hashlib
import hmac

from contracts import secrets_format
from contracts.secrets_format import Kind
from services.credentials.decider import NewSecret
from services.credentials.mosquitto import verifier as broker

SCHEME = "hmac-sha256:"


class Hashing:
    """One key for all; the secrets have 238 random bits, so a fast hash is enough."""

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, digestmod=hashlib.sha256)

    def digest(self, text: str) -> str:
        """64 hexadecimal characters."""
        keyed = self._keyed.copy()
        keyed.update(text.encode("utf-8", "surrogatepass"))
        return keyed.hexdigest()

    def verifier(self, secret: str) -> str:
        """What the log keeps in the secret's place."""
        return SCHEME + self.digest(secret)

    def verifies(self, secret: str, verifier: str) -> bool:
        """In constant time."""
        return hmac.compare_digest(self.verifier(secret), verifier)

    def mint(self, kind: Kind) -> tuple[str, NewSecret]:
        """A new secret, and what may be kept of it."""
        secret = secrets_format.mint(kind)
        broker_verifier = broker.make(secret) if kind == "dev" else None
        return secret, NewSecret(self.verifier(secret), secrets_format.hint(secret), broker_verifier)
