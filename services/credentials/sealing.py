"""Envelope encryption: a data key per secret (AES-256-GCM), wrapped by the key-encryption key.

A sealed secret opens only in its own place: the context (organization, entity, field, version) is
authenticated with it. Rotation wraps the data key anew and leaves the ciphertext as it is.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.failures import Unprocessable
from services.credentials.keyring import FINGERPRINT_BYTES, fingerprint

FORM = b"\x01"
NONCE_BYTES, KEY_BYTES, TAG_BYTES = 12, 32, 16
_KEY_NONCE = len(FORM) + FINGERPRINT_BYTES
_WRAPPED = _KEY_NONCE + NONCE_BYTES  # where the wrapped data key begins
_BODY = _WRAPPED + KEY_BYTES + TAG_BYTES


class Sealing:
    """Form: 1, the key's fingerprint, nonce, wrapped data key, nonce, ciphertext."""

    def __init__(self, current: bytes, *older: bytes) -> None:
        self._current = fingerprint(current)
        self._keys = {fingerprint(key): AESGCM(key) for key in (current, *older)}

    def seal(self, plain: bytes, context: tuple[str, ...]) -> bytes:
        about = _about(context)
        data_key = AESGCM.generate_key(KEY_BYTES * 8)
        nonce = os.urandom(NONCE_BYTES)
        return b"".join(
            (self._wrapped(data_key, about), nonce, AESGCM(data_key).encrypt(nonce, plain, about))
        )

    def open(self, sealed: bytes, context: tuple[str, ...]) -> bytes:
        """Raises Unprocessable("secret.unreadable") for another place, another key, a changed byte."""
        about = _about(context)
        data_key = self._data_key(sealed, context)
        nonce, body = sealed[_BODY : _BODY + NONCE_BYTES], sealed[_BODY + NONCE_BYTES :]
        try:
            return AESGCM(data_key).decrypt(nonce, body, about)
        except (InvalidTag, ValueError) as error:
            raise Unprocessable("secret.unreadable", f"{'/'.join(context)} cannot be decrypted") from error

    def is_current(self, sealed: bytes) -> bool:
        """Whether the first key wraps it."""
        return sealed.startswith(FORM + self._current)

    def rewrap(self, sealed: bytes, context: tuple[str, ...]) -> bytes:
        """The same secret under the first key; raises as `open` does."""
        return self._wrapped(self._data_key(sealed, context), _about(context)) + sealed[_BODY:]

    def _wrapped(self, data_key: bytes, about: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return b"".join(
            (FORM, self._current, nonce, self._keys[self._current].encrypt(nonce, data_key, about))
        )

    def _data_key(self, sealed: bytes, context: tuple[str, ...]) -> bytes:
        key = self._keys.get(sealed[len(FORM) : _KEY_NONCE])
        if not sealed.startswith(FORM) or key is None:
            raise Unprocessable("secret.unreadable", f"{'/'.join(context)} is sealed with another key")
        try:
            return key.decrypt(sealed[_KEY_NONCE:_WRAPPED], sealed[_WRAPPED:_BODY], _about(context))
        except (InvalidTag, ValueError) as error:
            raise Unprocessable("secret.unreadable", f"{'/'.join(context)} cannot be decrypted") from error


def _about(context: tuple[str, ...]) -> bytes:
    """No two contexts give the same bytes: each part is preceded by its length."""
    parts = [part.encode() for part in context]
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)
