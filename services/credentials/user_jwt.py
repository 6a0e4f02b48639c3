"""The signed answers of the auth callout: what a device may do, or that it may not come in.

Form: NATS JWT v2 (ADR-26), Ed25519 by the callout issuer's account nkey.
"""

from __future__ import annotations

import base64
import binascii
import math
import time
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
import nkeys

from contracts.acl import publish_subjects, subscribe_subjects
from contracts.streams import PAYLOAD_BYTES_MAX

ACCOUNT = "DEVICES"
CONNECTION_TYPES = ("MQTT", "MQTT_WS")
# How the server delivers QoS 1 and 2 to a session: the subjects are its own, random for each subscription.
SESSION_SUBJECTS = ("$MQTT.sub.>", "$MQTT.deliver.pubrel.>")
_encode = msgspec.json.Encoder().encode


class ConnectOptions(msgspec.Struct):
    user: str = ""
    password: str = msgspec.field(default="", name="pass")


class ClientInfo(msgspec.Struct):
    host: str = ""
    id: int = 0
    type: str = ""
    mqtt_id: str = ""


class ServerId(msgspec.Struct):
    id: str


class Question(msgspec.Struct):
    """The server's question, as much of it as matters."""

    server_id: ServerId
    user_nkey: str
    client_info: ClientInfo
    connect_opts: ConnectOptions


class _Claims(msgspec.Struct):
    nats: Question


_decoder = msgspec.json.Decoder(_Claims)


def question(data: bytes) -> Question:
    """Raises ValueError. Only servers can publish here, so the signature says nothing more."""
    try:
        body = data.split(b".")[1]
        return _decoder.decode(base64.urlsafe_b64decode(body + b"==")).nats
    except (IndexError, binascii.Error, msgspec.DecodeError) as error:
        raise ValueError("not an authorization request") from error


class Signer:
    def __init__(self, account_seed: str) -> None:
        self._key = nkeys.from_seed(account_seed.encode())
        self._issuer: str = self._key.public_key.decode()

    def allow(
        self,
        asked: Question,
        name: str,
        publish: tuple[str, ...],
        subscribe: tuple[str, ...],
        expires_at: datetime | None,
    ) -> bytes:
        """Into the device account as `name` with these filters; the server ends the connection at `expires_at`."""
        user: dict[str, Any] = {
            "sub": asked.user_nkey,
            "aud": ACCOUNT,
            "name": name,
            "nats": {
                "type": "user",
                "version": 2,
                **_permissions(publish, subscribe),
                "allowed_connection_types": CONNECTION_TYPES,
                "subs": -1,
                "data": -1,
                "payload": PAYLOAD_BYTES_MAX,
            },
        }
        if expires_at is not None:
            user["exp"] = math.floor(expires_at.timestamp())
        return self._answer(asked, {"jwt": self._sign(user).decode()})

    def refuse(self, asked: Question, code: str) -> bytes:
        """The code goes into the server's log; a device sees no more than "not authorized"."""
        return self._answer(asked, {"error": code})

    def _answer(self, asked: Question, answer: dict[str, str]) -> bytes:
        nats = {"type": "authorization_response", "version": 2, **answer}
        return self._sign({"sub": asked.user_nkey, "aud": asked.server_id.id, "nats": nats})

    def _sign(self, claims: dict[str, Any]) -> bytes:
        claims |= {"iss": self._issuer, "iat": int(time.time())}
        signed = _HEADER + b"." + _base64(_encode(claims))
        return signed + b"." + _base64(self._key.sign(signed))


@lru_cache(maxsize=32_768)  # a fleet reconnects with the same filters over and over; below 1 KiB each
def _permissions(publish: tuple[str, ...], subscribe: tuple[str, ...]) -> dict[str, msgspec.Raw]:
    """As JSON: it is encoded once."""
    allowed = publish_subjects(publish)
    # an empty allow-list would allow everything
    pub = {"allow": allowed} if allowed else {"deny": [">"]}
    sub = {"allow": [*subscribe_subjects(subscribe), *SESSION_SUBJECTS]}
    return {"pub": msgspec.Raw(_encode(pub)), "sub": msgspec.Raw(_encode(sub))}


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


_HEADER = _base64(b'{"typ":"JWT","alg":"ed25519-nkey"}')
