"""Who holds a secret: an integration or a webhook, as the directory has them."""

from __future__ import annotations

from datetime import UTC, datetime

from services.credentials.directory import Directory
from services.credentials.webhook_decider import held_secrets


def holds(directory: Directory, organization: str, entity: str, field: str, reference: str) -> bool:
    """Whether it is among what this entity holds now."""
    if (integration := directory.integrations.get(organization, entity)) is not None:
        return (field, reference) in integration.state.secrets
    if (webhook := directory.webhooks.get(organization, entity)) is not None:
        return held_secrets(webhook.state, datetime.now(UTC)).get(field) == reference
    return False


def has_ended(directory: Directory, organization: str, entity: str) -> bool:
    """Whether the entity itself is over."""
    tables = (directory.integrations, directory.webhooks)
    held = (table.get(organization, entity) for table in tables)
    return any(entry is not None and entry.state.status == "ended" for entry in held)
