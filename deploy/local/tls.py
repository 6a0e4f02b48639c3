"""The certificate that devices see: one that is given, or one of a development authority made here."""

import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.local.ports import LOOPBACK
from deploy.local.secrets import write_private

AUTHORITY_LASTS = timedelta(days=3650)
SERVER_LASTS = timedelta(days=397)
"""What TLS clients accept at most."""
RENEW_BEFORE = timedelta(days=30)
CLOCK_SKEW = timedelta(hours=1)


class CertificateMissingError(RuntimeError):
    """What the environment names is not all there."""


@dataclass(frozen=True)
class TlsFiles:
    """PEM files."""

    certificate: Path
    key: Path
    authority: Path | None
    """What a device must trust; None where a public authority signed the certificate."""
    client_authority: Path | None
    """Whose certificates devices may come with."""


def tls_files(folder: Path, environment: Mapping[str, str] = os.environ) -> TlsFiles:
    """MQTT_TLS_CERT and MQTT_TLS_KEY (with MQTT_TLS_CA, MQTT_TLS_CLIENT_CA) where set, or our own."""
    names = ("MQTT_TLS_CERT", "MQTT_TLS_KEY", "MQTT_TLS_CA", "MQTT_TLS_CLIENT_CA")
    certificate, key, authority, clients = (
        Path(environment[name]).resolve() if environment.get(name) else None for name in names
    )
    for name, path in zip(names, (certificate, key, authority, clients), strict=True):
        if path is not None and not path.is_file():
            raise CertificateMissingError(f"{name}: there is no file {path}")
    if certificate is None and key is None:
        own = _development(folder)
        return TlsFiles(own.certificate, own.key, own.authority, clients or own.client_authority)
    if certificate is None or key is None:
        raise CertificateMissingError("MQTT_TLS_CERT and MQTT_TLS_KEY go together")
    return TlsFiles(certificate, key, authority, clients)


def _development(folder: Path) -> TlsFiles:
    """Made at the first run; the server's certificate again before it ends or where a name is missing."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority, authority_key = folder / "tls-ca.pem", folder / "tls-ca.key"
    server, server_key = folder / "tls-server.pem", folder / "tls-server.key"
    if not authority.exists() or not authority_key.exists():
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "HybridMQ development authority")])
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _builder(name, name, key, AUTHORITY_LASTS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        server.unlink(missing_ok=True)
        _write(authority_key, key)
        write_private(authority, _pem(certificate))
    if not _serves(server, server_key):
        issuer = x509.load_pem_x509_certificate(authority.read_bytes())
        issuer_key = serialization.load_pem_private_key(authority_key.read_bytes(), None)
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "HybridMQ development broker")])
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        certificate = (
            _builder(subject, issuer.subject, key, SERVER_LASTS)
            .add_extension(x509.SubjectAlternativeName(_names()), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(purposes, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
            )
            .sign(issuer_key, hashes.SHA256())
        )
        _write(server_key, key)
        write_private(server, _pem(certificate))
    return TlsFiles(server, server_key, authority, authority)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lasts: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lasts)
    )


def _names() -> list[x509.GeneralName]:
    hosts = dict.fromkeys(("localhost", socket.gethostname()))
    addresses = (LOOPBACK, "::1")
    return [
        *(x509.DNSName(host) for host in hosts),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
    ]


def _serves(server: Path, key: Path) -> bool:
    if not server.exists() or not key.exists():
        return False
    certificate = x509.load_pem_x509_certificate(server.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return certificate.not_valid_after_utc > datetime.now(UTC) + RENEW_BEFORE and all(
        name in list(names) for name in _names()
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _write(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(path, text.decode())
