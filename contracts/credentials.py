"""MQTT credentials: what a device connects with, and what it may then publish and subscribe to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from contracts.calls import Call, Model, Nothing, Page, Request
from contracts.envelope import Event
from contracts.organizations import List, Name, Principal

DeviceId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:@-]+$")]
Filters = Annotated[tuple[str, ...], Field(max_length=50)]  # a JWT with more would pass NATS's line limit


# events
class CredentialIssued(Event):
    """`publish` and `subscribe` are whole MQTT filters, with the organization's prefix."""

    type = "credential.issued"
    name: str
    device_id: str | None
    client_id: str
    verifier: str
    hint: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    expires_at: datetime | None = None


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
    expires_at: AwareDatetime | None = None


class RevokeCredential(Request):
    id: str
    reason: Annotated[str, StringConstraints(max_length=200)] = ""


class GetCredential(Request):
    id: str


class AuthenticateDevice(Model):
    """A device's user name and password, as HTTP ingest gets them."""

    username: str
    password: str


class CredentialView(Model):
    id: str
    name: str
    device_id: str | None
    username: str
    client_id: str
    topic_prefix: str
    hint: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    state: Literal["active", "expired", "revoked"]
    created_at: datetime
    expires_at: datetime | None


class CredentialWithPassword(CredentialView):
    """The one time that the password is shown."""

    password: str


ISSUE_CREDENTIAL = Call("command.credentials.issue-credential", IssueCredential, CredentialWithPassword)
REVOKE_CREDENTIAL = Call("command.credentials.revoke-credential", RevokeCredential, Nothing)
LIST_CREDENTIALS = Call("query.credentials.credentials", List, Page[CredentialView])
GET_CREDENTIAL = Call("query.credentials.credential", GetCredential, CredentialView)
AUTHENTICATE_DEVICE = Call("query.credentials.authenticate-device", AuthenticateDevice, Principal)
