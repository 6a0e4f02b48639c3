"""What the document says of the API as a whole."""

from __future__ import annotations

DESCRIPTION = """Devices send by MQTT or HTTP; what is seen here is read from the log of what they sent.

**Authentication.** `Authorization: Bearer hmq_key_…`. The key decides the organization, so no path
carries it. The admin key (`hmq_admin_…`) makes organizations, and acts for one with the
header `X-Organization`. Where the operator trusts an OpenID issuer, its tokens stand for a key, too.

**Errors** are problem documents (RFC 9457, `application/problem+json`) with a stable `code`.

**Lists** take `limit` and `cursor`, and answer `{"items": […], "next_cursor": …}`.

**POST** takes an `Idempotency-Key`: the same request with the same key is done
once and gets the same answer.

**Times** are RFC 3339.

**TLS.** `GET /v1/ca.pem` is the authority that devices trust where the broker's certificate is not
of a public one; it takes no key."""

TAGS = {
    "organizations": "Tenants. The operator's calls.",
    "secrets": "The key that secrets of integrations are sealed with. The operator's calls.",
    "admin-key": "The operator's own key.",
    "admin": "The read models and the logs. The operator's calls.",
    "api-keys": "Who may call this API, and what for.",
    "credentials": "What a device connects with.",
    "connection": "Where devices connect to.",
    "limits": "How much may be done, and how much is.",
    "integrations": "The hosted broker, and brokers of your own.",
    "decoders": "How messages are read.",
    "ingest": "Messages by HTTP.",
    "devices": "Who has been heard, and what people call them.",
    "presence": "How many devices are online.",
    "erasures": "What forgotten devices leave behind, as it goes.",
    "telemetry": "What was measured.",
    "metrics": "What is measured, and in which units.",
    "retention": "How long readings are kept.",
    "storage": "What readings take.",
    "messages": "What was sent, as it came.",
    "dead-letters": "Messages that could not be decoded, and why.",
    "redecode": "History, decoded again with another decoder.",
    "activity": "What happened.",
    "alert-rules": "What is to be told when something is wrong.",
    "alerts": "What is wrong, what was, and who knows of it.",
    "stats": "How much of what, by time.",
    "stream": "Messages as they come.",
    "webhooks": "Addresses of your own that are told what happens.",
}
LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
SECURITY_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "bearerFormat": "hmq_key_…", "description": "An API key"},
    "operator": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "hmq_admin_…",
        "description": "The admin key",
    },
    "device": {
        "type": "http",
        "scheme": "basic",
        "description": "An MQTT credential: its username and password",
    },
}
