"""What callers see of an entity: everything but its secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from contracts.alert_rules import LINKS, AlertRule, AlertRuleView
from contracts.broker_topics import TopicFilter, default_topics
from contracts.credentials import CertificateView, CredentialView, SecretView
from contracts.integrations import HOSTED, IntegrationView
from contracts.organizations import ApiKeyView, OrganizationView
from contracts.webhooks import WebhookView
from services.credentials import broker_facts
from services.credentials.directory import Entry
from services.credentials.last_use import LastUse
from services.credentials.states.alert_rule import AlertRuleState
from services.credentials.states.credential import Credential
from services.credentials.states.integration import HostedIntegration, Integration
from services.credentials.states.keys import ApiKey
from services.credentials.states.organization import Organization
from services.credentials.states.webhook import Webhook


def organization_view(entry: Entry[Organization]) -> OrganizationView:
    return OrganizationView(id=entry.id, name=entry.state.name, created_at=entry.created_at)


def api_key_view(
    id: str, created_at: datetime, state: ApiKey, now: datetime, last_use: LastUse | None = None
) -> ApiKeyView:
    return ApiKeyView(
        id=id,
        name=state.name,
        scopes=state.scopes,
        hint=state.hint,
        created_at=created_at,
        expires_at=state.expires_at,
        last_used_at=last_use.at(id) if last_use is not None else None,
        state=standing(state, now),
    )


def credential_view(
    organization: str,
    id: str,
    created_at: datetime,
    state: Credential,
    now: datetime,
    last_use: LastUse | None = None,
) -> CredentialView:
    """`last_use` is None for one that is just being issued."""
    used = last_use.at if last_use is not None else _never
    secrets = [SecretView(hint=state.hint, last_used_at=used(id, state.number))]
    if state.previous is not None and state.previous.until > now:
        _, hint, until = state.previous
        secrets.append(SecretView(hint=hint, valid_until=until, last_used_at=used(id, state.number - 1)))
    return CredentialView(
        id=id,
        name=state.name,
        device_id=state.device_id,
        username=state.username or id,
        client_id=state.client_id,
        topic_prefix=organization,
        hint=state.hint,
        publish=state.publish,
        subscribe=state.subscribe,
        state=standing(state, now),
        created_at=created_at,
        expires_at=state.expires_at,
        last_used_at=used(id, None),
        secrets=tuple(secrets) if standing(state, now) == "active" else (),
        certificate=CertificateView(**state.certificate._asdict()) if state.certificate else None,
    )


def _never(_: str, __: int | None) -> None:
    return None


def integration_view(id: str, created_at: datetime, state: Integration, now: datetime) -> IntegrationView:
    assert state.settings is not None
    client, authorities = broker_facts.certificates(state.settings)
    return IntegrationView(
        id=id,
        name=state.name,
        broker_type="external",
        settings=state.settings,
        has_secrets=tuple(field for field, _ in state.secrets),
        topics=state.topics or default_topics(state.settings),  # written before defaults were
        decoder=state.decoder,
        created_at=created_at,
        client_certificate=client,
        ca_certificates=authorities,
        warnings=broker_facts.warnings(state.settings, now),
        paused=state.paused,
        expected_interval_s=state.expected_interval_s,
    )


def hosted_view(organization: Entry[Organization], state: HostedIntegration) -> IntegrationView:
    """The integration that every organization has from its beginning."""
    return IntegrationView(
        id=HOSTED,
        name=state.name,
        broker_type="hosted",
        decoder=state.decoder,
        topics=(TopicFilter(filter=f"{organization.id}/devices/#"),),
        created_at=organization.created_at,
    )


def webhook_view(id: str, created_at: datetime, state: Webhook, now: datetime) -> WebhookView:
    assert state.settings is not None
    until = state.previous_until
    return WebhookView(
        id=id,
        **state.settings.model_dump(),
        headers=state.headers,
        subscription=state.subscription,
        created_at=created_at,
        previous_secret_until=until if until is not None and until > now else None,
        paused=state.paused,
        paused_detail=state.paused_detail,
    )


def alert_rule_view(id: str, created_at: datetime, state: AlertRuleState) -> AlertRuleView:
    assert state.rule is not None
    held = {name: getattr(state.rule, name) for name in AlertRule.model_fields}
    return AlertRuleView(id=id, built_in=id == LINKS, created_at=created_at, **held)


def standing(state: ApiKey | Credential, now: datetime) -> Literal["active", "expired", "revoked"]:
    if state.status == "ended":
        return "revoked"
    return "expired" if state.expires_at is not None and state.expires_at <= now else "active"
