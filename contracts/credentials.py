"""MQTT credentials: what a device connects with, and what it may then publish and subscribe to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from contracts.calls import Call, Model, Nothing, Page, Request
from contracts.envelope import Event
from contracts.moments import Moment
from contracts.organizations import List, Name, Principal

DEVICE_ID = r"^[A-Za-z0-9_.:@-]+$"
DeviceId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=DEVICE_ID)]
Filters = Annotated[tuple[str, ...], Field(max_length=50)]  # a JWT with more would pass NATS's line limit


USERNAME = r"^[A-Za-z0-9_.@-]{1,64}$"
Username = Annotated[str, StringConstraints(pattern=USERNAME)]
QUERY_CHARS_MAX = 100
CredentialStanding = Literal["active", "expired", "revoked"]
CredentialSort = Literal["created_at", "-created_at"]
GRACE_SECONDS_MAX = 7 * 24 * 3600  # a fleet that sleeps over a week-end has come by


# events
class CredentialIssued(Event):
    """`publish` and `subscribe` are whole MQTT filters, with the organization's prefix.

    `broker_verifier` is what Mosquitto checks the password by (ADR 8); None where it was issued before.
    """

    type = "credential.issued"
    version = 2
    name: str
    device_id: str | None
    client_id: str
    verifier: str
    hint: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    expires_at: datetime | None = None
    broker_verifier: str | None = None


class CredentialImported(CredentialIssued):
    """Issued with a user name and a password that somebody chose; `username` begins with the organization."""

    type = "credential.imported"
    version = 1
    username: str


class CredentialRenamed(Event):
    type = "credential.renamed"
    name: str


class CredentialRotated(Event):
    """A new secret; the one before it holds until `previous_until` (None: it ended at once), older ones not."""

    type = "credential.rotated"
    verifier: str
    hint: str
    previous_until: datetime | None = None
    broker_verifier: str | None = None


class CredentialAclChanged(Event):
    """Whole MQTT filters, or templates of such, as in `CredentialIssued`."""

    type = "credential.acl-changed"
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


class CredentialExpiryChanged(Event):
    """From now on it ends then; None: never."""

    type = "credential.expiry-changed"
    expires_at: datetime | None


class CredentialExpired(Event):
    """Its time is over. It has refused connects since `expires_at`, whether or not this was written."""

    type = "credential.expired"
    expires_at: datetime


class CredentialRevoked(Event):
    type = "credential.revoked"
    reason: str = ""


# commands and queries
class IssueCredential(Request):
    """Filters may leave out the organization's prefix; without any, the defaults for the device hold."""

    name: Name | None = None
    device_id: DeviceId | None = None
    publish: Filters | None = None
    subscribe: Filters | None = None
    expires_at: Moment | None = None


class ListCredentials(List):
    """`q`: a part of the name, the device id, the id, the user name or a password's beginning, in any case.

    A page may hold fewer than `limit` while there are more: `next_cursor` alone says whether it goes on.
    """

    q: Annotated[str, StringConstraints(max_length=QUERY_CHARS_MAX)] | None = None
    state: CredentialStanding | None = None
    sort: CredentialSort = "created_at"


class RevokeCredential(Request):
    id: str
    reason: Annotated[str, StringConstraints(max_length=200)] = ""


class RenameCredential(Request):
    id: str
    name: Name


class RotateCredential(Request):
    """While the grace lasts, the old password holds as well; 0 ends it and its sessions at once."""

    id: str
    grace_seconds: Annotated[int, Field(ge=0, le=GRACE_SECONDS_MAX)] = 0


class ChangeAcl(Request):
    """What is left out stays as it is."""

    id: str
    publish: Filters | None = None
    subscribe: Filters | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.publish is None and self.subscribe is None:
            raise ValueError("send `publish`, `subscribe` or both")
        return self


class ChangeExpiry(Request):
    """None: it never ends. Of what has ended, nothing can be prolonged."""

    id: str
    expires_at: Moment | None


class CheckAcl(Request):
    """May this credential do that? `topic` with the organization's prefix; for `subscribe` a filter."""

    id: str
    action: Literal["publish", "subscribe"]
    topic: str


class GetCredential(Request):
    id: str


class AuthenticateDevice(Model):
    """A device's user name and password, as HTTP ingest gets them."""

    username: str
    password: str


class SecretView(Model):
    """One of the passwords that hold now. `last_used_at` is exact to half a minute."""

    hint: str
    valid_until: datetime | None = None
    last_used_at: datetime | None = None


class CertificateView(Model):
    """What may stand in the password's place: SHA-256 of the certificate, or the name that it gives."""

    fingerprint: str | None = None
    subject: str | None = None


class GetHistory(Request):
    """`at`: what was then; events after it are left out."""

    id: str
    at: AwareDatetime | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: str | None = None


class HistoryEntry(Model):
    """One event: when, what, and who caused it; `data` without what verifies a secret."""

    sequence: int
    time: datetime
    type: str
    actor: str
    data: dict[str, Any]


class CredentialAsOf(Model):
    """What a credential was, and could do, at a time. `hints` are those of the secrets that held."""

    time: datetime
    state: CredentialStanding
    name: str
    device_id: str | None
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    expires_at: datetime | None
    hints: tuple[str, ...]


class CredentialHistory(Page[HistoryEntry]):
    """Oldest first. `as_of` where a time was asked for; None when there was no such credential yet."""

    as_of: CredentialAsOf | None = None


class AclAnswer(Model):
    """`filter` is the one that allows it, as it stands in the credential."""

    allowed: bool
    filter: str | None = None


class CredentialView(Model):
    """`secrets` are the passwords that hold, the newest first: two of them while a rotation's grace lasts."""

    id: str
    name: str
    device_id: str | None
    username: str
    client_id: str
    topic_prefix: str
    hint: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    state: CredentialStanding
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = None
    secrets: tuple[SecretView, ...] = ()
    certificate: CertificateView | None = None


class CredentialWithPassword(CredentialView):
    """The one time that the password is shown."""

    password: str


ISSUE_CREDENTIAL = Call("command.credentials.issue-credential", IssueCredential, CredentialWithPassword)
REVOKE_CREDENTIAL = Call("command.credentials.revoke-credential", RevokeCredential, Nothing)
RENAME_CREDENTIAL = Call("command.credentials.rename-credential", RenameCredential, CredentialView)
ROTATE_CREDENTIAL = Call("command.credentials.rotate-credential", RotateCredential, CredentialWithPassword)
CHANGE_ACL = Call("command.credentials.change-acl", ChangeAcl, CredentialView)
CHANGE_EXPIRY = Call("command.credentials.change-expiry", ChangeExpiry, CredentialView)
CHECK_ACL = Call("query.credentials.check-acl", CheckAcl, AclAnswer)
GET_HISTORY = Call("query.credentials.history", GetHistory, CredentialHistory)
LIST_CREDENTIALS = Call("query.credentials.credentials", ListCredentials, Page[CredentialView])
GET_CREDENTIAL = Call("query.credentials.credential", GetCredential, CredentialView)
AUTHENTICATE_DEVICE = Call("query.credentials.authenticate-device", AuthenticateDevice, Principal)
