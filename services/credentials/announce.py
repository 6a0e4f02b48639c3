"""What the registry says happened, as activity for people.

Every replica announces what it reads, by the event's own id: the stream keeps one of each. After a crash
between append and announcement, the next start announces what is recent.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from contracts.activity import ActivityRecorded
from contracts.alert_rules import AlertRuleChanged, AlertRuleCreated
from contracts.certificates import CredentialCertificateBound
from contracts.credentials import (
    CredentialAclChanged,
    CredentialExpiryChanged,
    CredentialIssued,
    CredentialRenamed,
    CredentialRevoked,
    CredentialRotated,
)
from contracts.devices import DeviceDescribed, DeviceForgotten
from contracts.envelope import Event, Recorded
from contracts.integrations import (
    HostedIntegrationChanged,
    IntegrationChanged,
    IntegrationCreated,
)
from contracts.limits import CredentialLimitsChanged, OrganizationLimitsChanged
from contracts.metrics import MetricCleared, MetricDescribed
from contracts.organizations import ApiKeyIssued, OrganizationCreated
from contracts.retention import OrganizationRetentionChanged
from contracts.subjects import Entity
from contracts.webhooks import WebhookChanged, WebhookCreated, WebhookPaused, WebhookSecretRotated
from runtime.activity import ActivityLog
from services.credentials import broker_facts

# Below the stream's duplicate window of two minutes: what is announced again is told by its id.
RECENT = timedelta(seconds=90)


class Announcer:
    def __init__(self, activity: ActivityLog) -> None:
        self._activity = activity

    def __call__(self, entity: Entity, recorded: Recorded) -> None:
        """A listener of the directory."""
        if datetime.now(UTC) - recorded.time < RECENT:
            event = announcement(entity, recorded.event)
            self._activity.note(
                entity.organization,
                event,
                recorded.actor,
                id=recorded.id,
                at=recorded.time,
                trace=recorded.traceparent,
            )


def announcement(entity: Entity, event: Event) -> ActivityRecorded:  # noqa: C901 — a case for each
    """The activity entry of an event of the registry."""
    summary = ""
    device: str | None = None
    details: dict[str, Any] = {}
    match event:
        case OrganizationCreated(name=name) | CredentialRenamed(name=name) | MetricCleared(name=name):
            summary = name
        case ApiKeyIssued(name=name, hint=hint):
            summary, details = name, {"hint": hint, "scopes": list(event.scopes)}
        case CredentialIssued(name=name, hint=hint):
            summary, device = name, event.device_id
            details = {"hint": hint, "publish": list(event.publish), "subscribe": list(event.subscribe)}
        case CredentialAclChanged():
            details = {"publish": list(event.publish), "subscribe": list(event.subscribe)}
        case CredentialExpiryChanged(expires_at=expires_at):
            details = {"expires_at": expires_at.isoformat() if expires_at is not None else None}
        case CredentialRotated(hint=hint, previous_until=until):
            details = {"hint": hint, "previous_until": until.isoformat() if until is not None else None}
        case OrganizationRetentionChanged(retention=retention):
            details = retention.model_dump()
        case OrganizationLimitsChanged(limits=limits) | CredentialLimitsChanged(limits=limits):
            details = limits.model_dump()
        case CredentialCertificateBound():
            details = {"fingerprint": event.fingerprint, "subject": event.subject}
        case CredentialRevoked(reason=reason):
            summary = reason
        case IntegrationCreated() | IntegrationChanged() | HostedIntegrationChanged():
            summary, details = _integration(event)
        case DeviceDescribed() | DeviceForgotten():
            device, (summary, details) = event.device_id, _device(event)
        case WebhookCreated() | WebhookChanged() | WebhookSecretRotated() | WebhookPaused():
            summary, details = _webhook(event)
        case MetricDescribed() | AlertRuleCreated() | AlertRuleChanged():
            summary, details = _described(event)
        case _:
            pass
    return ActivityRecorded(
        kind=event.type,
        summary=summary,
        subject=f"{entity.kind}:{entity.id}",
        device_id=device,
        details=details,
    )


def _device(event: DeviceDescribed | DeviceForgotten) -> tuple[str, dict[str, Any]]:
    if isinstance(event, DeviceForgotten):
        return "its data is erased", {"erasure": event.erasure}
    return event.name or "", {"tags": list(event.tags), "hidden": event.hidden}


def _described(event: MetricDescribed | AlertRuleCreated | AlertRuleChanged) -> tuple[str, dict[str, Any]]:
    if isinstance(event, MetricDescribed):
        return event.name, event.model_dump(exclude={"name"}, exclude_none=True)
    rule = event.rule
    details = {"kind": rule.condition.kind, "severity": rule.severity, "enabled": rule.enabled}
    return rule.name, details


def _integration(
    event: IntegrationCreated | IntegrationChanged | HostedIntegrationChanged,
) -> tuple[str, dict[str, Any]]:
    if isinstance(event, HostedIntegrationChanged):
        return event.name, {"decoder": event.decoder.name}
    settings = event.settings
    details: dict[str, Any] = {
        "protocol": settings.protocol,
        "host": settings.host,
        "port": settings.port,
        "auth": settings.auth,
    }
    if settings.tls is None or settings.tls.verify:
        return event.name, details
    return f"{event.name}: {broker_facts.UNVERIFIED}", {**details, "verify": False}


def _webhook(
    event: WebhookCreated | WebhookChanged | WebhookSecretRotated | WebhookPaused,
) -> tuple[str, dict[str, Any]]:
    match event:
        case WebhookSecretRotated(previous_until=until):
            return "", {"previous_until": until.isoformat() if until is not None else None}
        case WebhookPaused(reason=reason, detail=detail):
            return detail, {"reason": reason}
        case _:
            settings = event.settings
            return settings.name, {"host": urlsplit(settings.url).hostname, "events": list(settings.events)}
