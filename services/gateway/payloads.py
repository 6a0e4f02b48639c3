"""Payloads in JSON bodies: any JSON value, text as it is, or base64."""

from __future__ import annotations

import base64
import binascii

from pydantic import JsonValue
from pydantic_core import to_json

from contracts.failures import Refused
from contracts.streams import PAYLOAD_BYTES_MAX
from services.gateway.bodies import Body
from services.gateway.problems import FieldError, Invalid


class WithPayload(Body):
    """`payload`: text goes out as it is, any other JSON value as its JSON. `payload_base64`: any bytes."""

    payload: JsonValue = None
    payload_base64: str | None = None

    def payload_bytes(self) -> bytes:
        """The bytes to publish; raises Invalid, or Refused("payload.too_large")."""
        sent = {"payload", "payload_base64"} & self.model_fields_set
        if len(sent) != 1:
            raise Invalid([FieldError(field="payload", detail="send `payload` or `payload_base64`")])
        if self.payload_base64 is not None:
            data = from_base64(self.payload_base64)
        else:
            data = self.payload.encode() if isinstance(self.payload, str) else to_json(self.payload)
        return check_size(data)


def from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid([FieldError(field="payload_base64", detail="it is not valid base64")]) from None


def check_size(payload: bytes) -> bytes:
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise Refused(
            "payload.too_large",
            f"it has {len(payload)} bytes, at most {PAYLOAD_BYTES_MAX} are taken",
            field="payload",
        )
    return payload
