"""A peer's certificate in words."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from cryptography import x509

NAMES_MAX = 20


class CertificateSeen(NamedTuple):
    """`names` are the DNS names and IP addresses it is for, the first 20."""

    subject: str
    issuer: str
    not_before: datetime | None
    not_after: datetime | None
    names: tuple[str, ...]


def certificate_seen(der: bytes) -> CertificateSeen:
    """Of a certificate that cannot be read, says so: it is a stranger's."""
    try:
        read = x509.load_der_x509_certificate(der)
        return CertificateSeen(
            _words(read.subject),
            _words(read.issuer),
            read.not_valid_before_utc,
            read.not_valid_after_utc,
            _names(read),
        )
    except (ValueError, x509.InvalidVersion, x509.UnsupportedGeneralNameType):
        return CertificateSeen("a certificate that cannot be read", "?", None, None, ())


def _words(name: x509.Name) -> str:
    return "".join(char if char.isprintable() else "?" for char in name.rfc4514_string()[:300])


def _names(read: x509.Certificate) -> tuple[str, ...]:
    try:
        held = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = [
        *held.get_values_for_type(x509.DNSName),
        *map(str, held.get_values_for_type(x509.IPAddress)),
    ]
    return tuple(name[:253] for name in names[:NAMES_MAX])
