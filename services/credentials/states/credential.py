"""A credential."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from contracts.certificates import CredentialCertificateBound, CredentialCertificateUnbound
from contracts.credentials import (
    CredentialAclChanged,
    CredentialExpired,
    CredentialExpiryChanged,
    CredentialImported,
    CredentialIssued,
    CredentialRenamed,
    CredentialRevoked,
    CredentialRotated,
)
from contracts.envelope import Event
from contracts.limits import CredentialLimitsChanged, Limits
from services.credentials.states.base import Status
from services.credentials.states.organization import NO_LIMITS


class Previous(NamedTuple):
    """The secret before the newest one, while it holds."""

    verifier: str
    hint: str
    until: datetime


class Certificate(NamedTuple):
    """What may stand in the password's place: one of the two."""

    fingerprint: str | None
    subject: str | None


@dataclass(frozen=True, slots=True)
class Credential:
    """`number` counts its secrets; the newest one is `verifier`."""

    status: Status = "absent"
    name: str = ""
    device_id: str | None = None
    client_id: str = ""
    verifier: str = ""
    hint: str = ""
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    expires_at: datetime | None = None
    broker_verifier: str | None = None
    username: str = ""  # of one that was imported; others go by their id
    number: int = 1
    previous: Previous | None = None
    expiry_recorded: bool = False
    certificate: Certificate | None = None
    limits: Limits = NO_LIMITS

    def evolve(self, event: Event) -> Credential:
        match event:
            case CredentialImported(username=username):
                return replace(_issued(event), username=username)
            case CredentialIssued():
                return _issued(event)
            case CredentialRenamed(name=name):
                return replace(self, name=name)
            case CredentialAclChanged(publish=publish, subscribe=subscribe):
                return replace(self, publish=publish, subscribe=subscribe)
            case CredentialRotated(previous_until=until):
                return replace(
                    self,
                    verifier=event.verifier,
                    hint=event.hint,
                    broker_verifier=event.broker_verifier,
                    number=self.number + 1,
                    previous=Previous(self.verifier, self.hint, until) if until is not None else None,
                )
            case CredentialCertificateBound() | CredentialCertificateUnbound():
                return replace(self, certificate=_certificate(event))
            case CredentialExpiryChanged(expires_at=expires_at):
                return replace(self, expires_at=expires_at)
            case CredentialExpired():
                return replace(self, expiry_recorded=True)
            case CredentialLimitsChanged(limits=limits):
                return replace(self, limits=limits)
            case CredentialRevoked():
                return replace(self, status="ended")
            case _:
                return self


def _certificate(event: CredentialCertificateBound | CredentialCertificateUnbound) -> Certificate | None:
    if isinstance(event, CredentialCertificateUnbound):
        return None
    return Certificate(event.fingerprint, event.subject)


def _issued(event: CredentialIssued) -> Credential:
    return Credential(
        "active",
        event.name,
        event.device_id,
        event.client_id,
        event.verifier,
        event.hint,
        event.publish,
        event.subscribe,
        event.expires_at,
        event.broker_verifier,
    )
