"""An authority and the certificates of an installation that has no cert-manager: for trying things out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LASTS = timedelta(days=397)
SERVERS = {
    "nats-tls": ("nats", "nats.hybridmq", "nats.hybridmq.svc", "*.nats-headless"),
    "relay-tls": ("localhost", "relay"),
    "database-tls": ("database-rw",),
    "mosquitto-tls": ("mosquitto", "mosquitto-platform"),
}


def make() -> dict[str, dict[str, str]]:
    """Secrets by name: `tls.crt`, `tls.key` and `ca.crt` of each server, and `database-ca`."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("HybridMQ authority for trying things out")
    authority = (
        _certificate(subject, subject, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .add_extension(_may_sign(), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    ca = authority.public_bytes(serialization.Encoding.PEM).decode()
    secrets = {"database-ca": {"ca.crt": ca}}
    for name, hosts in SERVERS.items():
        key = ec.generate_private_key(ec.SECP256R1())
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        certificate = (
            _certificate(_name(hosts[0]), subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(names, critical=False)
            .add_extension(usages, critical=False)
            .add_extension(issued_by, critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = certificate.public_bytes(serialization.Encoding.PEM).decode()
        secrets[name] = {"tls.crt": public, "tls.key": private.decode(), "ca.crt": ca}
    return secrets


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _may_sign() -> x509.KeyUsage:
    others = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **others)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LASTS)
    )
