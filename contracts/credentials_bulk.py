"""Credentials by the fleet: many issued or imported at once, or looked at before they are."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, model_validator

from contracts.calls import Call, Model, Request
from contracts.credentials import CredentialWithPassword, DeviceId, Filters, Username
from contracts.moments import Moment
from contracts.organizations import Name

ChosenPassword = Annotated[SecretStr, Field(min_length=8, max_length=128)]
BULK_BATCH_MAX = 100  # the events and the answer, sealed for a retry, stay below 256 KiB


class CredentialWish(Model):
    """One credential of many; as in `IssueCredential`.

    `username` and `password`, both or neither: a pair that devices have already. They connect as
    `<organization>:<username>`, so that no two tenants can be in each other's way.
    """

    username: Username | None = None
    password: ChosenPassword | None = None
    name: Name | None = None
    device_id: DeviceId | None = None
    publish: Filters | None = None
    subscribe: Filters | None = None
    expires_at: Moment | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("send `username` and `password`, or neither")
        return self


class IssueCredentials(Request):
    """Many at once: those that may be are issued together, the others are refused one by one."""

    wishes: Annotated[tuple[CredentialWish, ...], Field(min_length=1, max_length=BULK_BATCH_MAX)]


class CheckCredentials(Request):
    """What `IssueCredentials` would answer. Nothing is issued."""

    wishes: Annotated[tuple[CredentialWish, ...], Field(min_length=1, max_length=BULK_BATCH_MAX)]


class CredentialOutcome(Model):
    """Of one wish: the credential, or why there is none (a failure as it travels)."""

    credential: CredentialWithPassword | None = None
    failure: dict[str, Any] | None = None


class CredentialsIssued(Model):
    outcomes: tuple[CredentialOutcome, ...]


class CredentialDraft(Model):
    """What would be issued. Without a name or a user name, one is generated."""

    name: str | None
    device_id: str | None
    username: str | None
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    expires_at: datetime | None


class DraftOutcome(Model):
    """Of one wish: what would be issued, or why nothing would (a failure as it travels)."""

    credential: CredentialDraft | None = None
    failure: dict[str, Any] | None = None


class CredentialsChecked(Model):
    outcomes: tuple[DraftOutcome, ...]


ISSUE_CREDENTIALS = Call(
    "command.credentials.issue-credentials", IssueCredentials, CredentialsIssued, timeout_s=15.0
)
CHECK_CREDENTIALS = Call("query.credentials.check-credentials", CheckCredentials, CredentialsChecked)
