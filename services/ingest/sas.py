"""Azure IoT Hub's tokens: a device's key signs what it may do, and until when. Pure.

Source: learn.microsoft.com/azure/iot-hub/authenticate-authorize-sas, "SAS token structure".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from urllib.parse import quote

from contracts.failures import Refused


def token(resource: str, key: str, expires_at: int) -> str:
    """`resource` as in `hub.azure-devices.net/devices/d1`, `key` in base64, `expires_at` in seconds since 1970.

    Raises Refused("request.invalid") where the key is no base64.
    """
    sr = quote(resource, safe="")
    try:
        secret = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(
            "request.invalid", "the key is no base64", field="settings.shared_access_key"
        ) from error
    digest = hmac.digest(secret, f"{sr}\n{expires_at}".encode(), hashlib.sha256)
    return f"SharedAccessSignature sr={sr}&sig={quote(base64.b64encode(digest), safe='')}&se={expires_at}"
