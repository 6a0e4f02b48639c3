"""What may happen to organizations, API keys and credentials: pure. Integrations: `integration_decider`.

`decide_…(command, held, …) -> events`. Ids, secrets and the time come in as arguments; asking again for what
is so already gives no event.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from contracts.credentials import CredentialIssued, CredentialRevoked, IssueCredential, RevokeCredential
from contracts.envelope import Event
from contracts.failures import Refused
from contracts.organizations import (
    ALL_SCOPES,
    ApiKeyIssued,
    ApiKeyRevoked,
    CreateOrganization,
    DeleteOrganization,
    IssueApiKey,
    OrganizationCreated,
    OrganizationDeleted,
    RevokeApiKey,
)
from contracts.topics import check_device_id
from services.credentials.filters import publish_filters, subscribe_filters
from services.credentials.states.credential import Credential
from services.credentials.states.keys import ApiKey
from services.credentials.states.organization import Organization


class NewSecret(NamedTuple):
    """What the log keeps of a generated secret."""

    verifier: str
    hint: str
    broker_verifier: str | None = None  # of a device's secret


class Identity(NamedTuple):
    """What is generated for a credential; `name` is for one that nobody named."""

    client_id: str
    name: str


def decide_organization(command: CreateOrganization | DeleteOrganization, held: Organization) -> list[Event]:
    match command:
        case CreateOrganization() if held.status != "absent":
            raise Refused("conflict", "this organization id is in use")
        case CreateOrganization(name=name):
            return [OrganizationCreated(name=name)]
        case DeleteOrganization() if held.status == "absent":
            raise Refused("not_found")
        case DeleteOrganization() if held.status == "ended":
            return []
        case DeleteOrganization():
            return [OrganizationDeleted()]


def first_api_key(secret: NewSecret) -> ApiKeyIssued:
    """The key that an organization begins with: it may do everything."""
    return ApiKeyIssued(name="first key", scopes=ALL_SCOPES, verifier=secret.verifier, hint=secret.hint)


def decide_api_key(
    command: IssueApiKey | RevokeApiKey, held: ApiKey, now: datetime, secret: NewSecret | None = None
) -> list[Event]:
    match command:
        case IssueApiKey() if held.status != "absent":
            raise Refused("conflict", "this key id is in use")
        case IssueApiKey(name=name, scopes=scopes, expires_at=expires_at):
            check_expiry(expires_at, now)
            assert secret is not None
            if not scopes:
                raise Refused("request.invalid", "a key without a scope may do nothing", field="scopes")
            held_scopes = tuple(scope for scope in ALL_SCOPES if scope in scopes)
            return [
                ApiKeyIssued(
                    name=name,
                    scopes=held_scopes,
                    verifier=secret.verifier,
                    hint=secret.hint,
                    expires_at=expires_at,
                )
            ]
        case RevokeApiKey() if held.status == "absent":
            raise Refused("not_found")
        case RevokeApiKey() if held.status == "ended":
            return []
        case RevokeApiKey():
            return [ApiKeyRevoked()]


def decide_credential(
    command: IssueCredential | RevokeCredential,
    held: Credential,
    now: datetime,
    secret: NewSecret | None = None,
    identity: Identity | None = None,
) -> list[Event]:
    match command:
        case IssueCredential() if held.status != "absent":
            raise Refused("credential.exists", "this credential id is in use")
        case IssueCredential(organization=organization, device_id=device_id, expires_at=expires_at):
            check_expiry(expires_at, now)
            assert secret is not None
            assert identity is not None
            if device_id is not None:
                check_device_id(device_id)
            return [
                CredentialIssued(
                    name=command.name or device_id or identity.name,
                    device_id=device_id,
                    client_id=identity.client_id,
                    verifier=secret.verifier,
                    hint=secret.hint,
                    publish=publish_filters(organization, device_id, command.publish),
                    subscribe=subscribe_filters(organization, device_id, command.subscribe),
                    expires_at=expires_at,
                    broker_verifier=secret.broker_verifier,
                )
            ]
        case RevokeCredential() if held.status == "absent":
            raise Refused("not_found")
        case RevokeCredential() if held.status == "ended":
            return []
        case RevokeCredential(reason=reason):
            return [CredentialRevoked(reason=reason)]


def check_expiry(expires_at: datetime | None, now: datetime) -> None:
    """Refused("expiry.past") for what is over already."""
    if expires_at is not None and expires_at <= now:
        raise Refused("expiry.past", "choose a time that lies ahead", field="expires_at")
