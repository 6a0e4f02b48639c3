"""The rotation of the key-encryption key, while everything runs: the operator's calls."""

from __future__ import annotations

from contracts.calls import Call, Model, Request


class RotateSecrets(Request):
    """Wrap every data key with the current key-encryption key."""


class GetRotation(Request):
    """How far is it?"""


class Rotation(Model):
    """`rewrapped` counts since the service started, the rest is how it stands now."""

    current: str  # the id of the key that wraps what is new
    keys: tuple[str, ...]  # the ids of all keys that the service has, the current one first
    rewrapped: int
    left: int  # still wrapped by another of these keys: above 0, no key may be dropped
    unreadable: int  # damaged, or wrapped by a key that is not here
    running: bool


ROTATE_SECRETS = Call("command.credentials.rotate-secrets", RotateSecrets, Rotation, timeout_s=20.0)
GET_ROTATION = Call("query.credentials.rotation", GetRotation, Rotation, timeout_s=20.0)
