"""What credentials answers about organizations, keys, credentials and their limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts import (
    certificates,
    connections,
    credentials,
    credentials_bulk,
    key_rotation,
    limits,
    organizations,
)
from contracts.calls import Call, Nothing, Page
from contracts.failures import Refused
from contracts.organizations import PLATFORM, Principal
from contracts.secrets_format import mint
from tests.gateway.callers import ALPHA, BETA, CREDENTIAL, KEYS, NOW, deleted, empty, own


def authenticate_device(request: credentials.AuthenticateDevice) -> Principal:
    if (request.username, request.password) != (CREDENTIAL, KEYS.device):
        raise Refused("connect.unknown", "no such credential, or a wrong password")
    return Principal(
        organization=ALPHA,
        actor=f"device:{CREDENTIAL}",
        scopes=(),
        publish=(f"{ALPHA}/devices/d1/#",),
        device_id="d1",
    )


def _view(request: Any, id: str = CREDENTIAL) -> dict[str, Any]:
    """A credential that belongs to alpha."""
    return {
        "id": id,
        "name": "d1",
        "device_id": "d1",
        "username": id,
        "client_id": "d1",
        "topic_prefix": request.organization,
        "hint": "hmq_dev_abcd",
        "publish": (f"{request.organization}/devices/d1/#",),
        "subscribe": (f"{request.organization}/commands/d1/#",),
        "state": "active",
        "created_at": NOW,
        "expires_at": None,
    }


def _credential(request: Any) -> credentials.CredentialView:
    own(request, CREDENTIAL)
    return credentials.CredentialView(**_view(request))


def _history(request: Any) -> credentials.CredentialHistory:
    own(request, CREDENTIAL)
    entry = credentials.HistoryEntry(
        sequence=7, time=NOW, type="credential.renamed", actor="key:k", data={"name": "d1"}
    )
    return credentials.CredentialHistory(items=[entry])


def _checked(request: Any) -> credentials.AclAnswer:
    return credentials.AclAnswer(allowed=True, filter=_credential(request).publish[0])


def _limits(request: limits.GetLimits) -> limits.LimitsView:
    if request.credential is not None and (request.organization, request.credential) != (ALPHA, CREDENTIAL):
        raise Refused("not_found")
    used = limits.LimitUse(limit="connections", allowed=500, current=2, held=("connect",))
    return limits.LimitsView(items=(used,), measured_at=NOW)


def _changed_limits(id: str) -> Callable[[Any], limits.LimitsView]:
    def answer(request: Any) -> limits.LimitsView:
        if request.organization not in (ALPHA, PLATFORM) or request.id != id:
            raise Refused("not_found")
        set_to = limits.LimitUse(
            limit="connections", allowed=request.limits.connections, current=0, held=("connect",)
        )
        return limits.LimitsView(items=(set_to,))

    return answer


def _connections(request: Any) -> connections.LiveConnections:
    own(request, CREDENTIAL)
    open_now = connections.Connection(
        id="N-1", client_id="c", address="192.0.2.1", connected_at=NOW, messages_in=5, bytes_in=70
    )
    return connections.LiveConnections(items=(open_now,), count=1)


def _disconnected(request: Any) -> connections.Disconnected:
    own(request, CREDENTIAL)
    return connections.Disconnected(disconnected=1)


def _certified(request: Any) -> credentials.CredentialView:
    bound = credentials.CertificateView(fingerprint=request.fingerprint, subject=request.subject)
    return _credential(request).model_copy(update={"certificate": bound})


def _uncertified(request: Any) -> Nothing:
    _credential(request)
    return Nothing()


def _revoke(request: Any) -> Nothing:
    own(request, CREDENTIAL)
    return Nothing()


def _key(request: Any) -> dict[str, Any]:
    return {
        "id": "key_new",
        "name": request.name,
        "scopes": request.scopes,
        "hint": "hmq_key_abcd",
        "created_at": NOW,
        "expires_at": request.expires_at,
        "state": "active",
    }


def _api_key(request: Any) -> organizations.ApiKeyView:
    own(request, "key_1")
    return organizations.ApiKeyView(
        id="key_1",
        name="ci",
        scopes=("read",),
        hint="hmq_key_abcd",
        created_at=NOW,
        expires_at=None,
        state="active",
    )


def _exists(request: organizations.GetOrganization) -> organizations.OrganizationView:
    if request.organization not in (ALPHA, BETA):
        raise Refused("not_found")
    return organizations.OrganizationView(id=request.organization, name="Acme", created_at=NOW)


def _rotation(_: Any) -> key_rotation.Rotation:
    return key_rotation.Rotation(
        current="new", keys=("new", "old"), rewrapped=3, left=0, unreadable=0, running=False
    )


def _draft(request: Any, wish: credentials_bulk.CredentialWish) -> credentials_bulk.CredentialDraft:
    return credentials_bulk.CredentialDraft(
        name=wish.name or wish.device_id,
        device_id=wish.device_id,
        username=wish.username and f"{request.organization}:{wish.username}",
        publish=(f"{request.organization}/devices/#",),
        subscribe=(),
        expires_at=wish.expires_at,
    )


CREDENTIALS: dict[Call[Any, Any], Callable[[Any], Any]] = {
    organizations.CREATE_ORGANIZATION: lambda r: organizations.OrganizationIssued(
        id=ALPHA, name=r.name, api_key=organizations.ApiKeySecret(id="key_new", secret=KEYS.alpha)
    ),
    organizations.DELETE_ORGANIZATION: deleted(ALPHA),
    organizations.GET_ORGANIZATION: _exists,
    organizations.LIST_ORGANIZATIONS: lambda _: Page[organizations.OrganizationView](
        items=[organizations.OrganizationView(id=ALPHA, name="alpha", created_at=NOW)], next_cursor=None
    ),
    key_rotation.ROTATE_SECRETS: _rotation,
    key_rotation.GET_ROTATION: _rotation,
    organizations.ISSUE_API_KEY: lambda r: organizations.ApiKeyWithSecret(**_key(r), secret=mint("key")),
    organizations.REVOKE_API_KEY: deleted("key_1"),
    organizations.ROTATE_ADMIN_KEY: lambda _: organizations.AdminKeySecret(
        secret=KEYS.operator, hint="hmq_admin_abcd", previous_until=None
    ),
    organizations.LIST_API_KEYS: empty(Page[organizations.ApiKeyView]),
    organizations.GET_API_KEY: _api_key,
    credentials.ISSUE_CREDENTIAL: lambda r: credentials.CredentialWithPassword(
        **_view(r), password=KEYS.device
    ),
    credentials_bulk.ISSUE_CREDENTIALS: lambda r: credentials_bulk.CredentialsIssued(
        outcomes=tuple(
            credentials_bulk.CredentialOutcome(
                credential=credentials.CredentialWithPassword(**_view(r), password=KEYS.device)
            )
            for _ in r.wishes
        )
    ),
    credentials_bulk.CHECK_CREDENTIALS: lambda r: credentials_bulk.CredentialsChecked(
        outcomes=tuple(credentials_bulk.DraftOutcome(credential=_draft(r, wish)) for wish in r.wishes)
    ),
    credentials.REVOKE_CREDENTIAL: _revoke,
    credentials.LIST_CREDENTIALS: lambda r: Page[credentials.CredentialView](
        items=[credentials.CredentialView(**_view(r))], next_cursor="next"
    ),
    credentials.GET_CREDENTIAL: _credential,
    credentials.RENAME_CREDENTIAL: lambda r: _credential(r).model_copy(update={"name": r.name}),
    credentials.ROTATE_CREDENTIAL: lambda r: credentials.CredentialWithPassword(
        **_credential(r).model_dump(), password=KEYS.device
    ),
    certificates.BIND_CERTIFICATE: _certified,
    certificates.UNBIND_CERTIFICATE: _uncertified,
    credentials.CHANGE_ACL: _credential,
    credentials.CHANGE_EXPIRY: lambda r: _credential(r).model_copy(update={"expires_at": r.expires_at}),
    credentials.CHECK_ACL: _checked,
    credentials.GET_HISTORY: _history,
    connections.LIST_CONNECTIONS: _connections,
    limits.GET_LIMITS: _limits,
    limits.CHANGE_CREDENTIAL_LIMITS: _changed_limits(CREDENTIAL),
    limits.CHANGE_ORGANIZATION_LIMITS: _changed_limits(ALPHA),
    connections.DISCONNECT_CREDENTIAL: _disconnected,
}
