"""OpenSSL's words into codes that never change. Pure."""

from __future__ import annotations

import ssl

from contracts.failures import Failure, Refused, Unavailable

ALERT, HANDSHAKE = 0x15, 0x16
CONTENT_TYPES = frozenset((0x14, ALERT, HANDSHAKE, 0x17))  # RFC 8446 §5.1

_EXPIRED = {9, 10}  # X509_V_ERR_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED
_NAME = {62, 63, 64}  # _HOSTNAME_MISMATCH, _EMAIL_MISMATCH, _IP_ADDRESS_MISMATCH

_PROTOCOL = {
    "UNSUPPORTED_PROTOCOL",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "TLSV1_ALERT_INSUFFICIENT_SECURITY",
    "WRONG_SSL_VERSION",
    "NO_PROTOCOLS_AVAILABLE",
    "DH_KEY_TOO_SMALL",
    "NO_SHARED_CIPHER",
}
# What a peer says of a client's certificate, or of its absence.
_OF_OURS = {
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "SSLV3_ALERT_NO_CERTIFICATE",
    "TLSV1_ALERT_UNKNOWN_CA",
    "TLSV1_ALERT_ACCESS_DENIED",
    "TLSV1_ALERT_DECRYPT_ERROR",
}
_REQUIRED = {"TLSV13_ALERT_CERTIFICATE_REQUIRED"}
_ALPN = {"TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "NO_APPLICATION_PROTOCOL"}
_SERVER_NAME = {"TLSV1_UNRECOGNIZED_NAME", "TLSV1_ALERT_UNRECOGNIZED_NAME"}


def explained(error: ssl.SSLError, *, showed_certificate: bool, established: bool) -> Failure:
    """`established`: the peer had agreed on version and cipher before."""
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _unbelieved(error)
    if isinstance(error, ssl.SSLEOFError):
        return hung_up(b"")
    if reason in _REQUIRED or (
        not showed_certificate
        and (reason in _OF_OURS or (established and reason == "SSLV3_ALERT_HANDSHAKE_FAILURE"))
    ):
        return Refused("tls.client_certificate_required", "the broker demands a client certificate")
    if reason in _OF_OURS or (established and reason == "SSLV3_ALERT_HANDSHAKE_FAILURE"):
        return Refused(
            "tls.client_certificate_rejected", f"the broker rejects our certificate: {_words(reason)}"
        )
    if reason in _PROTOCOL or reason == "SSLV3_ALERT_HANDSHAKE_FAILURE":
        return Refused("tls.protocol", f"no version and cipher of TLS in common: {_words(reason)}")
    if reason in _ALPN:
        return Refused("tls.alpn", "the broker speaks none of the protocols in `alpn`")
    if reason in _SERVER_NAME:
        return Refused("tls.name", "the broker knows no server of this name (SNI)")
    return Unavailable("tls.failed", _words(reason) or "TLS failed")


def _unbelieved(error: ssl.SSLCertVerificationError) -> Failure:
    words = error.verify_message
    if error.verify_code in _EXPIRED:
        return Refused("tls.expired", words)
    if error.verify_code in _NAME:
        return Refused("tls.name", words)
    return Refused("tls.untrusted", words)


def hung_up(heard: bytes) -> Failure:
    """The connection ended in the middle of the handshake."""
    if heard and heard[0] not in CONTENT_TYPES:
        return Refused("tls.plaintext", plaintext(heard))
    said = "in the middle of the TLS handshake" if heard else "at the TLS greeting, without a word"
    return Unavailable("tls.closed", f"the peer hung up {said}")


def plaintext(heard: bytes) -> str:
    """What speaks no TLS, as its first bytes tell."""
    if heard.startswith((b"HTTP/", b"<")):
        return "a web server without TLS answered"
    if heard[0] == 0x20:  # CONNACK
        return "an MQTT broker without TLS answered"
    if heard.startswith((b"SSH-", b"220 ", b"+OK", b"* OK")):
        return "another service answered: it speaks neither TLS nor MQTT"
    return "what answered is no TLS"


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ")
