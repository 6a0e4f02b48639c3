"""Certificates and keys that a caller sends as PEM (RFC 7468): refused with what is wrong, or read. Pure.

Only public facts leave this module: no message quotes a key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from contracts.failures import Refused

CERTIFICATES_MAX = 20
RSA_BITS_MIN, RSA_BITS_MAX = 2048, 4096  # OpenSSL's level 2 refuses less; a larger key costs each handshake
CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----(.*?)-----END \1-----", re.DOTALL)
_NAME_CHARS_MAX = 300


class Read(NamedTuple):
    """The public facts of a certificate; `key` is its type in words."""

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    fingerprint: str  # SHA-256, hexadecimal
    key: str
    authority: bool
    for_clients: bool


def read_certificates(pem: str, field: str) -> tuple[x509.Certificate, ...]:
    """All certificates in it, in order. Raises Refused("certificate.invalid")."""
    blocks = _blocks(pem, field)
    certificates = []
    for number, (label, block) in enumerate(blocks, 1):
        which = f"certificate {number} of {len(blocks)}" if len(blocks) > 1 else "the certificate"
        if "PRIVATE KEY" in label:
            raise _invalid(
                "this holds a private key: it belongs into client_key, where it is kept secret", field
            )
        if label not in ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"):
            raise _invalid(f"this is a {label.lower()}, not a certificate", field)
        try:
            certificate = x509.load_pem_x509_certificate(block.encode())
            _facts(certificate)
        except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension):
            raise _invalid(
                f"{which} cannot be read: what stands between BEGIN and END is damaged", field
            ) from None
        certificates.append(certificate)
    return tuple(certificates)


def read_key(pem: str, field: str) -> PrivateKeyTypes:
    """The private key. Raises Refused("certificate.invalid")."""
    blocks = [(label, block) for label, block in _blocks(pem, field) if label != "EC PARAMETERS"]
    label, block = blocks[0] if blocks else ("", "")
    if "ENCRYPTED" in label or "4,ENCRYPTED" in block:
        advice = "take the pass phrase off: openssl pkey -in key.pem -out plain.pem"
        raise _invalid(f"the key is encrypted; {advice}", field)
    if label.endswith("CERTIFICATE"):
        raise _invalid(
            "this is a certificate: it belongs into client_certificate; the key is wanted here", field
        )
    if not label.endswith("PRIVATE KEY"):
        raise _invalid(f"this is a {label.lower() or 'curve'}, not a private key", field)
    if len(blocks) > 1:
        raise _invalid("one private key is wanted, and nothing else", field)
    try:
        # Nothing is computed with it here: the validation that is left out takes half a second for RSA 4096.
        key = load_pem_private_key(block.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _invalid(
            "the key cannot be read: what stands between BEGIN and END is damaged", field
        ) from None
    _check_key_type(key.public_key(), field)
    return key


def check_client(certificate: str, key: str | None, now: datetime, fields: tuple[str, str]) -> None:
    """Refuse (`certificate.invalid`) what cannot stand for a client: `fields` name the certificate and its key."""
    chain = read_certificates(certificate, fields[0])
    _check_key_type(chain[0].public_key(), fields[0])
    if key is not None:
        _check_pair(chain, read_key(key, fields[1]), fields)
    _check_order(chain, fields[0])
    for number, each in enumerate(chain, 1):
        _check_dates(
            each, now, fields[0], "the certificate" if number == 1 else f"certificate {number} of the chain"
        )


def check_authorities(pem: str, now: datetime, field: str) -> None:
    """Refuse (`certificate.invalid`) what can vouch for nobody."""
    authorities = read_certificates(pem, field)
    if all(each.not_valid_after_utc <= now for each in authorities):
        _check_dates(authorities[0], now, field, "the authority's certificate")


@lru_cache(maxsize=512)  # of 32 KiB at most
def facts(pem: str) -> tuple[Read, ...]:
    """Of each certificate in it; of what cannot be read, nothing."""
    try:
        return tuple(_facts(each) for each in read_certificates(pem, ""))
    except Refused:
        return ()


def _blocks(pem: str, field: str) -> list[tuple[str, str]]:
    """Label and text of each block; what stands around them is commentary (RFC 7468 §2)."""
    begun = pem.count("-----BEGIN ")
    if begun > CERTIFICATES_MAX:
        raise _invalid(f"it holds {begun} blocks, at most {CERTIFICATES_MAX} are taken", field)
    found = [(match.group(1), match.group(0)) for match in _BLOCK.finditer(pem)]
    if not found:
        detail = "this is not PEM: it begins with -----BEGIN …----- and ends with -----END …-----"
        if begun:
            detail = "it is cut off: the line -----END …----- is missing or another than -----BEGIN …-----"
        raise _invalid(detail, field)
    if begun != len(found):
        raise _invalid("a block is cut off: not every -----BEGIN …----- has its -----END …-----", field)
    return found


def _check_pair(chain: Sequence[x509.Certificate], key: PrivateKeyTypes, fields: tuple[str, str]) -> None:
    own = _public(key.public_key())
    if own == _public(chain[0].public_key()):
        return
    for number, certificate in enumerate(chain[1:], 2):
        if own == _public(certificate.public_key()):
            detail = f"wrong order: the key is that of certificate {number}, which must stand first"
            raise _invalid(detail, fields[0])
    raise _invalid(
        f"the key does not belong to the certificate ({key_type(key.public_key())} here, "
        f"{key_type(chain[0].public_key())} there): was one of them renewed without the other?",
        fields[1],
    )


def _check_order(chain: Sequence[x509.Certificate], field: str) -> None:
    for number, (certificate, issuer) in enumerate(pairwise(chain), 1):
        if not _issued_by(certificate, issuer):
            if any(_issued_by(certificate, other) for other in chain if other is not certificate):
                raise _invalid("the chain is in the wrong order: each certificate's issuer follows it", field)
            detail = f"certificate {number + 1} is not the issuer of certificate {number}, {_name(certificate.issuer)}"
            raise _invalid(detail, field)


def _check_dates(certificate: x509.Certificate, now: datetime, field: str, which: str) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends <= now:
        raise _invalid(f"{which} expired {ends:%Y-%m-%d %H:%M} UTC", field)
    if begins > now:
        raise _invalid(f"{which} is not valid before {begins:%Y-%m-%d %H:%M} UTC", field)


def _check_key_type(key: object, field: str) -> None:
    match key:
        case rsa.RSAPublicKey() if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
            detail = f"an RSA key of {key.key_size} bits: {RSA_BITS_MIN} to {RSA_BITS_MAX} are taken"
            raise _invalid(detail, field)
        case rsa.RSAPublicKey() | ed25519.Ed25519PublicKey():
            return
        case ec.EllipticCurvePublicKey() if key.curve.name in CURVES:
            return
        case _:
            raise _invalid(
                f"a key of type {key_type(key)}: RSA, EC P-256, P-384, P-521 and Ed25519 are taken", field
            )


def key_type(key: object) -> str:
    """In words: `EC P-256`, `RSA 2048`."""
    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {CURVES.get(key.curve.name, key.curve.name)}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case _:
            return type(key).__name__.strip("_").removesuffix("PublicKey")


def _issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _public(key: object) -> bytes:
    spki: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return spki


def _facts(certificate: x509.Certificate) -> Read:
    authority, for_clients = True, True
    try:
        authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        authority = certificate.version is x509.Version.v1  # before there were extensions
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        for_clients = ExtendedKeyUsageOID.CLIENT_AUTH in usages
    except x509.ExtensionNotFound:
        pass
    return Read(
        _name(certificate.subject),
        _name(certificate.issuer),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        certificate.fingerprint(hashes.SHA256()).hex(),
        key_type(certificate.public_key()),
        authority,
        for_clients,
    )


def _name(name: x509.Name) -> str:
    return "".join(char if char.isprintable() else "?" for char in name.rfc4514_string()[:_NAME_CHARS_MAX])


def _invalid(detail: str, field: str) -> Refused:
    return Refused("certificate.invalid", detail, field=field)
