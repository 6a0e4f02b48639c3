"""Why a step of a connection test failed: a code, what was seen, and the one thing to do next. Pure."""

from __future__ import annotations

from typing import NamedTuple

from contracts.failures import Failure


class Finding(NamedTuple):
    """Why a step failed."""

    code: str
    seen: str
    next_action: str


# The code decides what to do next; where settings or what was seen change that, `diagnosis` does.
NEXT: dict[str, str] = {
    "broker.unreachable": "Check `port`, that the broker listens on it, and that its firewall lets us in.",
    "address.forbidden": "Give the broker's public address: private networks cannot be reached from here.",
    "tls.plaintext": "This port takes no TLS: choose the port for TLS (mostly 8883), or the protocol without it.",
    "tls.closed": "Check that this is the broker's port for TLS (mostly 8883), and that nothing between closes it.",
    "tls.protocol": "Let the broker take TLS 1.2 or 1.3: older versions are not spoken here.",
    "tls.untrusted": "Put the certificate of the authority that signed the broker's (PEM) into `tls.ca`.",
    "tls.expired": "Renew the broker's certificate; where it is not valid yet, set the broker's clock.",
    "tls.name": "Connect by a name that the certificate is for, or put that name into `tls.server_name`.",
    "tls.alpn": "Change `tls.alpn` to a protocol that this port speaks, or leave it out.",
    "tls.certificate": "Put the certificate and its own key, both PEM and not encrypted, into `tls`.",
    "tls.client_certificate_required": "Choose the auth `client_certificate`, and give certificate and key.",
    "tls.client_certificate_rejected": "Let the broker trust the authority that signed the client certificate, "
    "and check that the certificate is neither expired nor revoked there.",
    "tls.failed": "Look into the broker's log for this moment: it says what it did not like.",
    "websocket.refused": "Check `path`, and what stands in front of the broker.",
    "websocket.invalid": "Check that this port takes WebSockets, or choose the protocol `mqtt` or `mqtts`.",
    "websocket.closed": "Look into the broker's log for this moment: it says why it closed the WebSocket.",
    "broker.timeout": "Check that an MQTT broker answers on this port, and not only a firewall that swallows.",
    "broker.closed": "Look into the broker's log for this moment: it hung up without saying why.",
    "broker.not_mqtt": "Give the port of MQTT: mostly 1883, with TLS 8883.",
    "broker.tls_expected": "This port takes TLS: choose the protocol `mqtts`.",
    "broker.websocket_expected": "This port takes WebSockets: choose the protocol `ws` and its `path`.",
    "broker.credentials": "Check `username` and `password`, and that the broker lets this user connect.",
    "broker.client_id": "Set a `client_id` that the broker allows.",
    "broker.version": "Choose the other `mqtt_version`.",
    "broker.busy": "The broker takes no clients at the moment: try again later.",
    "broker.refused": "Look into the broker's log for this moment: it says why it refused.",
    "subscription.refused": "Allow this user to subscribe to the filter in the broker's ACL, or change it.",
    "subscription.silent": "Allow this user to publish to the topic and to read it in the broker's ACL: some "
    "brokers grant what they do not do.",
    "link.silent": "Check that the devices send: the connection holds, and so do its subscriptions. Where they may be "
    "silent for so long, say how often messages are expected.",
    "broker.dropping": "Raise what the broker keeps for an absent client (in Mosquitto `max_queued_messages`).",
    "publish.refused": "Allow this user to publish to the topic in the broker's ACL, or change it.",
}


def finding(code: str, seen: str, next_action: str | None = None) -> Finding:
    return Finding(code, seen, next_action or NEXT[code])


def of_failure(failure: Failure, fallback: str) -> Finding:
    """`fallback` is the code where the failure's own is not of a connection."""
    return finding(failure.code if failure.code in NEXT else fallback, failure.detail)
