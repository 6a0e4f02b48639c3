"""A client certificate in the place of a credential's password."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import StringConstraints, model_validator

from contracts.calls import Call, Nothing, Request
from contracts.credentials import CredentialView
from contracts.envelope import Event

PEM_CHARS_MAX = 16 * 1024
SUBJECT_CHARS_MAX = 512


# events
class CredentialCertificateBound(Event):
    """One of the two: `fingerprint` is the certificate's SHA-256 (hex), `subject` its name (RFC 4514)."""

    type = "credential.certificate-bound"
    fingerprint: str | None = None
    subject: str | None = None


class CredentialCertificateUnbound(Event):
    type = "credential.certificate-unbound"


# commands
class BindCertificate(Request):
    """In the place of the one that was bound before. A fingerprint may have colons, as openssl prints it."""

    id: str
    pem: Annotated[str, StringConstraints(max_length=PEM_CHARS_MAX)] | None = None
    fingerprint: Annotated[str, StringConstraints(max_length=95)] | None = None
    subject: Annotated[str, StringConstraints(max_length=SUBJECT_CHARS_MAX)] | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if sum(given is not None for given in (self.pem, self.fingerprint, self.subject)) != 1:
            raise ValueError("send one of `pem`, `fingerprint` and `subject`")
        return self


class UnbindCertificate(Request):
    id: str


BIND_CERTIFICATE = Call("command.credentials.bind-certificate", BindCertificate, CredentialView)
UNBIND_CERTIFICATE = Call("command.credentials.unbind-certificate", UnbindCertificate, Nothing)
