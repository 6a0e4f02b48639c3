"""Envelope encryption: a data key per secret (AES-256-GCM), wrapped by the key-encryption key.

A sealed secret opens only in its own place: the context (organization, entity, field, version) is
authenticated with it. Rotation re-wraps the data key and leaves the ciphertext as it is.
"""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.failures import Unprocessable

FORM = b"\x01"
KEY_ID_BYTES, NONCE_BYTES, KEY_BYTES, TAG_BYTES = 4, 12, 32, 16
_WRAPPED = len(FORM) + KEY_ID_BYTES + NONCE_BYTES  # where the wrapped data key begins
_BODY = _WRAPPED + KEY_BYTES + TAG_BYTES


class Sealing:
    """Form: 1, key id, nonce, wrapped data key, nonce, ciphertext."""

    def __init__(self, key_encryption_key: bytes) -> None:
        self._wrap = AESGCM(key_encryption_key)
        self._key_id = hashlib.sha256(b"hybridmq key id" + key_encryption_key).digest()[:KEY_ID_BYTES]

    def seal(self, plain: bytes, context: tuple[str, ...]) -> bytes:
        about = _about(context)
        data_key = AESGCM.generate_key(KEY_BYTES * 8)
        key_nonce, nonce = os.urandom(NONCE_BYTES), os.urandom(NONCE_BYTES)
        wrapped = self._wrap.encrypt(key_nonce, data_key, about)
        body = AESGCM(data_key).encrypt(nonce, plain, about)
        return b"".join((FORM, self._key_id, key_nonce, wrapped, nonce, body))

    def open(self, sealed: bytes, context: tuple[str, ...]) -> bytes:
        """Raises Unprocessable("secret.unreadable") for another place, another key, a changed byte."""
        about = _about(context)
        if not sealed.startswith(FORM) or sealed[len(FORM) : len(FORM) + KEY_ID_BYTES] != self._key_id:
            raise Unprocessable("secret.unreadable", f"{'/'.join(context)} is sealed with another key")
        key_nonce = sealed[_WRAPPED - NONCE_BYTES : _WRAPPED]
        nonce, body = sealed[_BODY : _BODY + NONCE_BYTES], sealed[_BODY + NONCE_BYTES :]
        try:
            data_key = self._wrap.decrypt(key_nonce, sealed[_WRAPPED:_BODY], about)
            return AESGCM(data_key).decrypt(nonce, body, about)
        except (InvalidTag, ValueError) as error:
            raise Unprocessable("secret.unreadable", f"{'/'.join(context)} cannot be decrypted") from error


def _about(context: tuple[str, ...]) -> bytes:
    """No two contexts give the same bytes: each part is preceded by its length."""
    parts = [part.encode() for part in context]
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)
