"""Certificates of devices, as an operator makes them with the development authority."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class DeviceCertificate:
    authority: Path
    path: Path
    key: Path

    @property
    def pem(self) -> str:
        return self.path.read_text()

    @property
    def fingerprint(self) -> str:
        return x509.load_pem_x509_certificate(self.path.read_bytes()).fingerprint(hashes.SHA256()).hex()

    def context(self) -> ssl.SSLContext:
        """For a client that trusts the authority and shows this certificate."""
        context = ssl.create_default_context(cafile=self.authority)
        context.load_cert_chain(self.path, self.key)
        return context


def device_certificate(
    folder: Path, secrets: Path, name: str, *, lasts: timedelta = timedelta(days=1)
) -> DeviceCertificate:
    """Signed by the authority whose key stands in `secrets`; `lasts` may be negative."""
    authority = x509.load_pem_x509_certificate((secrets / "tls-ca.pem").read_bytes())
    signer = serialization.load_pem_private_key((secrets / "tls-ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + lasts)
        .sign(signer, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return DeviceCertificate(secrets / "tls-ca.pem", path, key_path)
