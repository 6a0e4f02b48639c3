"""Client certificates: which one is bound to a credential, and whose a shown one is."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from contracts.certificates import (
    BindCertificate,
    CredentialCertificateBound,
    CredentialCertificateUnbound,
    UnbindCertificate,
)
from contracts.envelope import Event, Recorded
from contracts.failures import Refused
from contracts.subjects import Entity
from services.credentials.authentication import REASONS, Found
from services.credentials.directory import Directory, Entry
from services.credentials.ids import client_id_belongs
from services.credentials.states.credential import Credential
from services.credentials.views import standing

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class Shown(NamedTuple):
    """What a verified certificate says."""

    fingerprint: str
    subject: str
    ends: datetime | None = None


def decide_certificate(
    command: BindCertificate | UnbindCertificate, held: Credential, now: datetime
) -> list[Event]:
    if held.status == "absent":
        raise Refused("not_found")
    match command:
        case UnbindCertificate():
            return [] if held.certificate is None else [CredentialCertificateUnbound()]
        case BindCertificate():
            if held.status == "ended":
                raise Refused("credential.revoked", "issue a new credential")
            if held.expires_at is not None and held.expires_at <= now:
                raise Refused("credential.expired", "issue a new credential")
            bound = binding(command, now)
            return [] if held.evolve(bound) == held else [bound]


def binding(command: BindCertificate, now: datetime) -> CredentialCertificateBound:
    """Refused("certificate.invalid") where what is given cannot be of any certificate, or of one that is over."""
    if command.pem is not None:
        return CredentialCertificateBound(fingerprint=_of_pem(command.pem, now))
    if command.fingerprint is not None:
        fingerprint = command.fingerprint.replace(":", "").lower()
        if not _FINGERPRINT.fullmatch(fingerprint):
            raise _invalid("a SHA-256 fingerprint has 64 hexadecimal digits", "fingerprint")
        return CredentialCertificateBound(fingerprint=fingerprint)
    assert command.subject is not None
    try:
        subject = x509.Name.from_rfc4514_string(command.subject).rfc4514_string()
    except ValueError as error:
        raise _invalid(f"no name after RFC 4514, as in CN=device-7,O=Acme: {error}", "subject") from None
    if not subject:
        raise _invalid("an empty subject would be anybody's", "subject")
    return CredentialCertificateBound(subject=subject)


class Certificates:
    """Whose certificate is this? As a listener of the directory it hears of bindings."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._bound: dict[str, list[str]] = {}  # fingerprint or subject → credentials, also former ones

    def __call__(self, entity: Entity, recorded: Recorded) -> None:
        if isinstance(event := recorded.event, CredentialCertificateBound):
            held = self._bound.setdefault(event.fingerprint or event.subject or "", [])
            if entity.id not in held:
                held.append(entity.id)

    def may_be_new(self, username: str, client_id: str, shown: Shown) -> bool:
        """Whether another replica may have bound this certificate a moment ago."""
        return self._find(username, client_id, shown) is None

    def check(self, username: str, client_id: str, shown: Shown) -> Found:
        """From memory alone. The same certificate may be bound to several credentials, also of other
        organizations: the user name, or where there is none the client id, says which is meant."""
        entry = self._find(username, client_id, shown)
        if entry is None:
            return Found(self._directory.credentials.by_id.get(username), "connect.certificate")
        if not self._directory.active(entry.organization):
            return Found(entry, "connect.revoked")
        state = entry.state
        until = min((end for end in (state.expires_at, shown.ends) if end is not None), default=None)
        return Found(entry, REASONS.get(standing(state, datetime.now(UTC))), 0, until)

    def _find(self, username: str, client_id: str, shown: Shown) -> Entry[Credential] | None:
        for key in (shown.fingerprint, shown.subject):
            for id in self._bound.get(key, ()):
                entry = self._directory.credentials.by_id[id]
                if entry.state.certificate is None or key not in entry.state.certificate:
                    continue
                if id == username or (not username and client_id_belongs(client_id, entry.state.client_id)):
                    return entry
        return None


def _of_pem(pem: str, now: datetime) -> str:
    if "PRIVATE KEY" in pem:
        raise _invalid("this holds a private key: send the certificate alone, and make a new key", "pem")
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        ends = certificate.not_valid_after_utc
    except ValueError:
        raise _invalid("no certificate in PEM form (-----BEGIN CERTIFICATE-----)", "pem") from None
    if ends <= now:
        raise _invalid(f"the certificate ended {ends:%Y-%m-%d}", "pem")
    return certificate.fingerprint(hashes.SHA256()).hex()


def _invalid(detail: str, field: str) -> Refused:
    return Refused("certificate.invalid", detail, field=field)
