"""Organizations (tenants) and their API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.calls import Call, Model, Nothing, Page, Request
from contracts.envelope import Event
from contracts.limits import Limits
from contracts.moments import Moment

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$"),
]
Scope = Literal["read", "publish", "manage_credentials", "manage_integrations", "manage_alerts", "admin"]
ALL_SCOPES: tuple[Scope, ...] = (
    "read",
    "publish",
    "manage_credentials",
    "manage_integrations",
    "manage_alerts",
    "admin",
)

ADMIN_GRACE_SECONDS_MAX = 24 * 3600  # a day to bring it to whoever uses it
PLATFORM = "platform"  # stands where an organization's id stands, for the operator's own acts


# events
class OrganizationCreated(Event):
    type = "organization.created"
    name: str


class OrganizationDeleted(Event):
    type = "organization.deleted"


class ApiKeyIssued(Event):
    type = "api-key.issued"
    name: str
    scopes: tuple[Scope, ...]
    verifier: str  # keyed hash of the secret
    hint: str  # the first characters, by which people know it
    expires_at: datetime | None = None


class ApiKeyRevoked(Event):
    type = "api-key.revoked"


class AdminKeyRotated(Event):
    """`replaced` are the verifiers of the keys that held until now, and hold until `replaced_until` yet."""

    type = "admin-key.rotated"
    verifier: str
    hint: str
    replaced: tuple[str, ...]
    replaced_until: datetime | None = None


# commands and queries
class CreateOrganization(Request):
    name: Name


class DeleteOrganization(Request):
    id: str


class GetOrganization(Request):
    """Of this very organization: whether it exists. `organization` says which."""


class IssueApiKey(Request):
    name: Name
    scopes: tuple[Scope, ...] = ("read",)
    expires_at: Moment | None = None


class RevokeApiKey(Request):
    id: str


class RotateAdminKey(Request):
    """The operator's; while the grace lasts, the old key holds as well."""

    grace_seconds: Annotated[int, Field(ge=0, le=ADMIN_GRACE_SECONDS_MAX)] = 0


class GetApiKey(Request):
    id: str


class List(Request):
    """Lists come oldest first, by creation; `cursor` is the last id seen."""

    limit: int = 100
    cursor: str | None = None


class Authenticate(Model):
    """Whose key is this? `secret` has been checked for its form and checksum before."""

    secret: str


class ApiKeySecret(Model):
    id: str
    secret: str


class AdminKeySecret(Model):
    """The one time that the key is shown."""

    secret: str
    hint: str
    previous_until: datetime | None


class OrganizationIssued(Model):
    id: str
    name: str
    api_key: ApiKeySecret


class OrganizationView(Model):
    id: str
    name: str
    created_at: datetime


class ApiKeyView(Model):
    id: str
    name: str
    scopes: tuple[Scope, ...]
    hint: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = None  # exact to a minute
    state: Literal["active", "expired", "revoked"]


class ApiKeyWithSecret(ApiKeyView):
    secret: str


class Principal(Model):
    """Who calls: an API key, the operator's admin key (organization "platform"), or a device credential."""

    organization: str
    actor: str  # `key:key_…`, `admin`, `device:cred_…`
    scopes: tuple[Scope, ...]
    expires_at: datetime | None = None
    # a device credential's: MQTT filters it may publish to, and its device
    publish: tuple[str, ...] = ()
    device_id: str | None = None
    # of the organization, and of the credential, for what comes by HTTP
    limits: Limits | None = None
    own_limits: Limits | None = None


CREATE_ORGANIZATION = Call("command.credentials.create-organization", CreateOrganization, OrganizationIssued)
DELETE_ORGANIZATION = Call("command.credentials.delete-organization", DeleteOrganization, Nothing)
LIST_ORGANIZATIONS = Call("query.credentials.organizations", List, Page[OrganizationView])
GET_ORGANIZATION = Call("query.credentials.organization", GetOrganization, OrganizationView)
ISSUE_API_KEY = Call("command.credentials.issue-api-key", IssueApiKey, ApiKeyWithSecret)
REVOKE_API_KEY = Call("command.credentials.revoke-api-key", RevokeApiKey, Nothing)
LIST_API_KEYS = Call("query.credentials.api-keys", List, Page[ApiKeyView])
ROTATE_ADMIN_KEY = Call("command.credentials.rotate-admin-key", RotateAdminKey, AdminKeySecret)
GET_API_KEY = Call("query.credentials.api-key", GetApiKey, ApiKeyView)
AUTHENTICATE = Call("query.credentials.authenticate", Authenticate, Principal)
