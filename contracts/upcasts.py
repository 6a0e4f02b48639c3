"""Every event type in its latest shape, and the steps that lead old shapes to it.

An old version is never edited: a new one gets a new number, a step here, and an example in `examples/`.
"""

from __future__ import annotations

from collections.abc import Mapping

from contracts import envelope
from contracts.activity import ActivityRecorded
from contracts.alert_rules import AlertRuleChanged, AlertRuleCreated, AlertRuleDeleted
from contracts.alerts import AlertAcknowledged, AlertOpened, AlertResolved
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
from contracts.dead_letter_calls import DeadLettersDiscarded, DeadLettersResolved
from contracts.device_commands import (
    DeviceCommandAnswered,
    DeviceCommandDelivered,
    DeviceCommandExpired,
    DeviceCommandFailed,
    DeviceCommandQueued,
    DeviceCommandSent,
)
from contracts.devices import DeviceDescribed, DeviceForgotten
from contracts.envelope import Body, Event, Recorded, Upcast
from contracts.integrations import (
    HostedIntegrationChanged,
    IntegrationChanged,
    IntegrationCreated,
    IntegrationDeleted,
)
from contracts.limits import CredentialLimitsChanged, OrganizationLimitsChanged
from contracts.links import IntegrationPaused, IntegrationResumed, IntegrationWatchChanged
from contracts.metrics import MetricCleared, MetricDescribed
from contracts.organizations import (
    AdminKeyRotated,
    ApiKeyIssued,
    ApiKeyRevoked,
    OrganizationCreated,
    OrganizationDeleted,
)
from contracts.redecode import RedecodeEnded, RedecodeOrdered, RetryOrdered
from contracts.retention import OrganizationRetentionChanged
from contracts.webhooks import (
    WebhookChanged,
    WebhookCreated,
    WebhookDeleted,
    WebhookPaused,
    WebhookResumed,
    WebhookSecretRotated,
)

_LATEST: tuple[type[Event], ...] = (
    ActivityRecorded,
    AdminKeyRotated,
    AlertAcknowledged,
    AlertOpened,
    AlertResolved,
    AlertRuleChanged,
    AlertRuleCreated,
    AlertRuleDeleted,
    ApiKeyIssued,
    ApiKeyRevoked,
    CredentialAclChanged,
    CredentialCertificateBound,
    CredentialCertificateUnbound,
    CredentialExpired,
    CredentialExpiryChanged,
    CredentialImported,
    CredentialIssued,
    CredentialRenamed,
    CredentialRevoked,
    CredentialRotated,
    DeadLettersDiscarded,
    DeadLettersResolved,
    DeviceCommandAnswered,
    DeviceCommandDelivered,
    DeviceCommandExpired,
    DeviceCommandFailed,
    DeviceCommandQueued,
    DeviceCommandSent,
    DeviceDescribed,
    DeviceForgotten,
    HostedIntegrationChanged,
    IntegrationChanged,
    IntegrationCreated,
    IntegrationDeleted,
    IntegrationPaused,
    IntegrationResumed,
    IntegrationWatchChanged,
    MetricCleared,
    MetricDescribed,
    OrganizationCreated,
    OrganizationDeleted,
    OrganizationLimitsChanged,
    OrganizationRetentionChanged,
    CredentialLimitsChanged,
    RedecodeEnded,
    RedecodeOrdered,
    RetryOrdered,
    WebhookChanged,
    WebhookCreated,
    WebhookDeleted,
    WebhookPaused,
    WebhookResumed,
    WebhookSecretRotated,
)

EVENTS: Mapping[str, type[Event]] = {event.versioned_type(): event for event in _LATEST}


def _with_auth(body: Body) -> Body:
    """v1 knew `mqtt` alone, and a password wherever there was a user name."""
    username = body["settings"]["username"] or None
    settings = {**body["settings"], "username": username, "auth": "password" if username else "none"}
    return {**body, "settings": settings}


# old versioned type → (the next version's type, the step to it)
UPCASTS: Mapping[str, tuple[str, Upcast]] = {
    # v2: what another broker than nats-server checks the password by
    "credential.issued.v1": ("credential.issued.v2", lambda body: {**body, "broker_verifier": None}),
    # v2: every protocol and way to authenticate
    "integration.changed.v1": ("integration.changed.v2", _with_auth),
    "integration.created.v1": ("integration.created.v2", _with_auth),
}


def decode(
    headers: Mapping[str, str], data: bytes, *, subject: str = "", sequence: int = 0
) -> Recorded | None:
    """`envelope.decode` with the tables of this platform."""
    return envelope.decode(headers, data, EVENTS, UPCASTS, subject=subject, sequence=sequence)
