"""What organizations, API keys, credentials and integrations are, as their events say; pure."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple, TypeVar

from contracts.alert_rules import BUILT_IN, AlertRule, AlertRuleChanged, AlertRuleCreated, AlertRuleDeleted
from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import TopicFilter
from contracts.certificates import CredentialCertificateBound, CredentialCertificateUnbound
from contracts.credentials import (
    CredentialAclChanged,
    CredentialExpired,
    CredentialImported,
    CredentialIssued,
    CredentialRenamed,
    CredentialRevoked,
    CredentialRotated,
)
from contracts.devices import DeviceDescribed, DeviceForgotten
from contracts.envelope import Event
from contracts.integrations import (
    DecoderChoice,
    HostedIntegrationChanged,
    IntegrationChanged,
    IntegrationCreated,
    IntegrationDeleted,
)
from contracts.limits import CredentialLimitsChanged, Limits, OrganizationLimitsChanged
from contracts.links import IntegrationPaused, IntegrationResumed, IntegrationWatchChanged
from contracts.metrics import MetricCleared, MetricDescribed
from contracts.organizations import (
    AdminKeyRotated,
    ApiKeyIssued,
    ApiKeyRevoked,
    OrganizationCreated,
    OrganizationDeleted,
    Scope,
)
from contracts.redecode import RedecodeEnded, RedecodeOrdered, RetryOrdered
from contracts.retention import OrganizationRetentionChanged, Retention
from contracts.webhooks import (
    PauseReason,
    WebhookChanged,
    WebhookCreated,
    WebhookDeleted,
    WebhookPaused,
    WebhookResumed,
    WebhookSecretRotated,
    WebhookSettings,
)

Status = Literal["absent", "active", "ended"]
STANDARD = DecoderChoice()
NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Organization:
    status: Status = "absent"
    name: str = ""
    limits: Limits = NO_LIMITS
    retention: Retention | None = None  # None: the platform's default


@dataclass(frozen=True, slots=True)
class ApiKey:
    status: Status = "absent"
    name: str = ""
    scopes: tuple[Scope, ...] = ()
    verifier: str = ""
    hint: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AdminKey:
    """The operator's key. Before its first rotation it is the configured one, and this is empty."""

    verifier: str = ""
    retired: tuple[tuple[str, datetime | None], ...] = ()  # verifier, until when it holds yet

    def holds(self, verifier: str, configured: str, now: datetime) -> bool:
        """A configured key that was never rotated away holds: so a lost key is replaced by configuration."""
        for retired, until in self.retired:
            if hmac.compare_digest(retired, verifier):
                return until is not None and now < until
        return any(hmac.compare_digest(verifier, held) for held in (self.verifier, configured))


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


@dataclass(frozen=True, slots=True)
class Integration:
    status: Status = "absent"
    name: str = ""
    settings: BrokerSettings | None = None
    topics: tuple[TopicFilter, ...] = ()
    decoder: DecoderChoice = STANDARD
    secrets: tuple[tuple[str, str], ...] = ()  # field, reference
    paused: bool = False
    expected_interval_s: float | None = None


@dataclass(frozen=True, slots=True)
class HostedIntegration:
    """The one that every organization has from its beginning: until it is changed, there is no event of it."""

    name: str = "Hosted broker"
    decoder: DecoderChoice = STANDARD


@dataclass(frozen=True, slots=True)
class Redecode:
    status: Status = "absent"
    retry: bool = False  # of a few messages alone


@dataclass(frozen=True, slots=True)
class Metric:
    said: MetricDescribed | None = None  # None: what is learnt holds


@dataclass(frozen=True, slots=True)
class Device:
    said: bytes | None = None  # the event, as the log has it: an object would be three times as large


@dataclass(frozen=True, slots=True)
class Webhook:
    status: Status = "absent"
    settings: WebhookSettings | None = None
    headers: tuple[str, ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()  # field, reference
    subscription: str | None = None
    previous_until: datetime | None = None
    paused: PauseReason | None = None
    paused_detail: str = ""


@dataclass(frozen=True, slots=True)
class AlertRuleState:
    status: Status = "absent"
    rule: AlertRule | None = None  # None: there is none, or not any more


BUILT_IN_RULE = AlertRuleState("active", BUILT_IN)  # until it is changed, there is no event of it

State = (
    Organization
    | ApiKey
    | AdminKey
    | Credential
    | Integration
    | HostedIntegration
    | Redecode
    | Metric
    | Device
    | Webhook
    | AlertRuleState
)
StateT = TypeVar(
    "StateT",
    Organization,
    ApiKey,
    AdminKey,
    Credential,
    Integration,
    HostedIntegration,
    Redecode,
    Metric,
    Device,
    Webhook,
    AlertRuleState,
)


def evolve(state: StateT, event: Event) -> StateT:  # noqa: C901 — a case for each kind
    """The state after the event; an event that means nothing to it changes nothing."""
    match state, event:
        case Organization(), OrganizationCreated(name=name):
            return replace(state, status="active", name=name)
        case Organization(), OrganizationLimitsChanged(limits=limits):
            return replace(state, limits=limits)
        case Organization(), OrganizationRetentionChanged(retention=retention):
            return replace(state, retention=retention)
        case ApiKey(), ApiKeyIssued():
            return ApiKey("active", event.name, event.scopes, event.verifier, event.hint, event.expires_at)
        case AdminKey(), AdminKeyRotated():
            return _rotated(state, event)
        case Integration(), _:
            return _integration(state, event)
        case HostedIntegration(), HostedIntegrationChanged(name=name, decoder=decoder):
            return HostedIntegration(name, decoder)
        case Redecode(), _:
            return _redecode(state, event)
        case ((Metric() | Device()), _):
            return _described(state, event)
        case AlertRuleState(), _:
            return _alert_rule(state, event)
        case (Organization(), OrganizationDeleted()) | (ApiKey(), ApiKeyRevoked()):
            return replace(state, status="ended")
        case Credential(), _:
            return _credential(state, event)
        case Webhook(), _:
            return _webhook(state, event)
        case _:
            return state


def _webhook(state: Webhook, event: Event) -> Webhook:
    match event:
        case WebhookCreated():
            secrets = tuple(sorted(event.secrets.items()))
            return Webhook("active", event.settings, event.headers, secrets, event.subscription)
        case WebhookChanged():
            secrets = tuple(sorted(event.secrets.items()))
            return replace(state, settings=event.settings, headers=event.headers, secrets=secrets)
        case WebhookSecretRotated(previous_until=until):
            secrets = tuple(sorted(event.secrets.items()))
            return replace(state, secrets=secrets, previous_until=until)
        case WebhookPaused(reason=reason, detail=detail):
            return replace(state, paused=reason, paused_detail=detail)
        case WebhookResumed():
            return replace(state, paused=None, paused_detail="")
        case WebhookDeleted():
            return replace(state, status="ended", secrets=())
        case _:
            return state


def _described(state: StateT, event: Event) -> StateT:
    """What people say of something, which is the whole of it."""
    match state, event:
        case Metric(), MetricDescribed() | MetricCleared():
            return Metric(event if isinstance(event, MetricDescribed) else None)
        case Device(), DeviceDescribed() | DeviceForgotten():
            return Device(event.model_dump_json().encode() if isinstance(event, DeviceDescribed) else None)
        case _:
            return state


def _redecode(state: Redecode, event: Event) -> Redecode:
    match event:
        case RedecodeOrdered() | RetryOrdered():
            return Redecode("active", retry=isinstance(event, RetryOrdered))
        case RedecodeEnded():
            return Redecode("ended")
        case _:
            return state


def _alert_rule(state: AlertRuleState, event: Event) -> AlertRuleState:
    match event:
        case AlertRuleCreated(rule=rule) | AlertRuleChanged(rule=rule):
            return AlertRuleState("active", rule)
        case AlertRuleDeleted():
            return AlertRuleState("ended")
        case _:
            return state


def _integration(state: Integration, event: Event) -> Integration:
    match event:
        case IntegrationCreated() | IntegrationChanged():
            return _changed(state, event)
        case IntegrationPaused() | IntegrationResumed():
            return replace(state, paused=isinstance(event, IntegrationPaused))
        case IntegrationWatchChanged(expected_interval_s=expected):
            return replace(state, expected_interval_s=expected)
        case IntegrationDeleted():
            return replace(state, status="ended", secrets=())
        case _:
            return state


def _changed(state: Integration, event: IntegrationCreated | IntegrationChanged) -> Integration:
    return replace(
        state,
        status="active",
        name=event.name,
        settings=event.settings,
        topics=event.topics,
        decoder=event.decoder,
        secrets=tuple(sorted(event.secrets.items())),
    )


def _credential(state: Credential, event: Event) -> Credential:
    match event:
        case CredentialImported(username=username):
            return replace(_issued(event), username=username)
        case CredentialIssued():
            return _issued(event)
        case CredentialRenamed(name=name):
            return replace(state, name=name)
        case CredentialAclChanged(publish=publish, subscribe=subscribe):
            return replace(state, publish=publish, subscribe=subscribe)
        case CredentialRotated(previous_until=until):
            return replace(
                state,
                verifier=event.verifier,
                hint=event.hint,
                broker_verifier=event.broker_verifier,
                number=state.number + 1,
                previous=Previous(state.verifier, state.hint, until) if until is not None else None,
            )
        case CredentialCertificateBound() | CredentialCertificateUnbound():
            return replace(state, certificate=_certificate(event))
        case CredentialExpired():
            return replace(state, expiry_recorded=True)
        case CredentialLimitsChanged(limits=limits):
            return replace(state, limits=limits)
        case CredentialRevoked():
            return replace(state, status="ended")
        case _:
            return state


def _certificate(event: CredentialCertificateBound | CredentialCertificateUnbound) -> Certificate | None:
    if isinstance(event, CredentialCertificateUnbound):
        return None
    return Certificate(event.fingerprint, event.subject)


def _rotated(held: AdminKey, event: AdminKeyRotated) -> AdminKey:
    """What was replaced before holds no longer, whatever its grace was."""
    older = [(verifier, None) for verifier, _ in held.retired if verifier not in event.replaced]
    replaced = [(verifier, event.replaced_until) for verifier in event.replaced]
    return AdminKey(event.verifier, (*older, *replaced))


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
