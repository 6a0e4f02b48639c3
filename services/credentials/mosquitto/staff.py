"""The platform's own clients of Mosquitto."""

from __future__ import annotations

from services.credentials.mosquitto.wanted import Acl, Client, acls_of

CONTROL = "$CONTROL/dynamic-security/v1"
BROKER_LOG = "$SYS/broker/log/N"  # notices: who came and went
ADMIN = "platform-credentials"
INGEST = "platform"

_ADMIN_HEARS = (f"{CONTROL}/response", BROKER_LOG)

STAFF = {
    client.username: client
    for client in (
        Client(
            ADMIN, None, frozenset((*acls_of((CONTROL,), _ADMIN_HEARS), Acl("publishClientSend", CONTROL)))
        ),
        # Takes what devices publish into the log, and publishes out for tenants.
        Client(INGEST, None, acls_of(("+/devices/#", "+/commands/#"), ("+/devices/#",))),
    )
}
