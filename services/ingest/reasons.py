"""Reason codes of MQTT in words (5 §2.4). Pure."""

from __future__ import annotations

FAILURE = 0x80  # from here on a code is a failure; so is 3.1.1's only one in a SUBACK

_WORDS = {
    0x00: "Success",
    0x04: "Disconnect with will message",
    0x10: "No matching subscribers",
    0x11: "No subscription existed",
    0x80: "Unspecified error",
    0x81: "Malformed packet",
    0x82: "Protocol error",
    0x83: "Implementation specific error",
    0x84: "Unsupported protocol version",
    0x85: "Client identifier not valid",
    0x86: "Bad user name or password",
    0x87: "Not authorized",
    0x88: "Server unavailable",
    0x89: "Server busy",
    0x8A: "Banned",
    0x8B: "Server shutting down",
    0x8C: "Bad authentication method",
    0x8D: "Keep alive timeout",
    0x8E: "Session taken over",
    0x8F: "Topic filter invalid",
    0x90: "Topic name invalid",
    0x91: "Packet identifier in use",
    0x92: "Packet identifier not found",
    0x93: "Receive maximum exceeded",
    0x94: "Topic alias invalid",
    0x95: "Packet too large",
    0x96: "Message rate too high",
    0x97: "Quota exceeded",
    0x98: "Administrative action",
    0x99: "Payload format invalid",
    0x9A: "Retain not supported",
    0x9B: "QoS not supported",
    0x9C: "Use another server",
    0x9D: "Server moved",
    0x9E: "Shared subscriptions not supported",
    0x9F: "Connection rate exceeded",
    0xA0: "Maximum connect time",
    0xA1: "Subscription identifiers not supported",
    0xA2: "Wildcard subscriptions not supported",
}
_OF_311 = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}  # a CONNACK's return codes (3.1.1 §3.2.2.3)

# What a broker says of itself or of this moment, not of us: it is tried again soon.
PASSING = frozenset((0x88, 0x89, 0x8B, 0x8D, 0x8E, 0x93, 0x96, 0x97, 0x98, 0x9F, 0xA0))


def of_311(code: int) -> int:
    """5's number for a return code of 3.1.1's CONNACK."""
    return _OF_311.get(code, code)


def refusal(code: int) -> str:
    """The failure's code for a CONNACK that says no, by 5's number."""
    match code:
        case 0x84 | 0x01:  # 3.1.1's own 1, where it answers a CONNECT of 5
            return "broker.version"
        case 0x85:
            return "broker.client_id"
        case 0x86 | 0x87 | 0x8A | 0x8C:
            return "broker.credentials"
        case 0x88 | 0x89 | 0x8B | 0x97 | 0x9C | 0x9D | 0x9F:
            return "broker.busy"
    return "broker.refused"


def words(code: int, text: bytes | None = None) -> str:
    """`text` is a reason string, as a stranger sent it."""
    said = _WORDS.get(code, f"Reason code {code:#04x}")
    return f"{said} ({printable(text)})" if text else said


def printable(data: bytes) -> str:
    """At most 120 characters of a stranger's text, fit for a line."""
    return "".join(char if char.isprintable() else "?" for char in data.decode(errors="replace")[:120])
