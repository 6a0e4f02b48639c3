"""Certificates and keys as PEM text, right and wrong in every way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate with its key; both as PEM text."""

    certificate: str
    key: str
    holder: x509.Certificate
    signer: Key

    def encrypted_key(self, *, traditional: bool = False) -> str:
        form = PrivateFormat.TraditionalOpenSSL if traditional else PrivateFormat.PKCS8
        return _key_text(self.signer, form, BestAvailableEncryption(b"pass phrase"))


def make_pair(
    name: str = "client",
    *,
    issuer: Pair | None = None,
    key: Key | None = None,
    authority: bool = False,
    begins: timedelta = -DAY,
    ends: timedelta = 365 * DAY,
    for_servers: bool = False,
) -> Pair:
    """Signed by `issuer`, or by itself; times from now on."""
    own = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.holder.subject if issuer else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if for_servers:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(usage, critical=False)
    signer = issuer.signer if issuer else own
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    holder = builder.sign(signer, algorithm)
    text = holder.public_bytes(Encoding.PEM).decode()
    return Pair(text, _key_text(own, PrivateFormat.PKCS8, NoEncryption()), holder, own)


def _key_text(key: Key, form: PrivateFormat, encryption: KeySerializationEncryption) -> str:
    return key.private_bytes(Encoding.PEM, form, encryption).decode()
