"""What may happen to integrations: pure."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.broker_secrets import FIELDS, secrets_allowed, secrets_needed
from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import TopicFilter, check_topics, default_topics
from contracts.envelope import Event
from contracts.failures import Refused
from contracts.integrations import (
    HOSTED,
    ChangeIntegration,
    CreateIntegration,
    DeleteIntegration,
    HostedIntegrationChanged,
    IntegrationChanged,
    IntegrationCreated,
    IntegrationDeleted,
)
from services.credentials.states.integration import HostedIntegration, Integration

References = Mapping[str, str]  # secret → its entry in the bucket SECRETS


def decide_integration(
    command: CreateIntegration | ChangeIntegration | DeleteIntegration,
    held: Integration,
    references: References | None = None,
) -> list[Event]:
    """`references` are to the secrets that came with the command."""
    match command:
        case CreateIntegration() if held.status != "absent":
            raise Refused("conflict", "this integration id is in use")
        case CreateIntegration(settings=settings):
            topics = command.topics or default_topics(settings)
            check_topics(settings, topics)
            return [
                IntegrationCreated(
                    name=command.name,
                    settings=settings,
                    topics=topics,
                    decoder=command.decoder,
                    secrets=_secrets(settings, {}, references or {}),
                )
            ]
        case ChangeIntegration(id=id) | DeleteIntegration(id=id) if id == HOSTED:
            raise Refused("integration.hosted", "the hosted integration belongs to the organization")
        case ChangeIntegration() if held.status != "active":
            raise Refused("not_found")
        case ChangeIntegration():
            return _changed(command, held, references or {})
        case DeleteIntegration() if held.status == "absent":
            raise Refused("not_found")
        case DeleteIntegration() if held.status == "ended":
            return []
        case DeleteIntegration():
            return [IntegrationDeleted()]


def decide_hosted(command: ChangeIntegration, held: HostedIntegration) -> list[Event]:
    """Its name and its decoder are the tenant's to choose; its broker and its topics are the platform's."""
    if command.settings is not None or command.secrets or command.topics is not None:
        raise Refused("integration.hosted", "of the hosted integration, name and decoder can be changed")
    changed = HostedIntegrationChanged(
        name=command.name or held.name, decoder=command.decoder or held.decoder
    )
    return [] if held.evolve(changed) == held else [changed]


def _changed(command: ChangeIntegration, held: Integration, references: References) -> list[Event]:
    assert held.settings is not None
    if command.based_on not in (None, held.settings):
        raise Refused("conflict", "the settings were changed meanwhile")
    settings = command.settings or held.settings
    topics = _topics(command, held, settings)
    if command.settings is not None or command.topics is not None:
        check_topics(settings, topics)
    changed = IntegrationChanged(
        name=command.name or held.name,
        settings=settings,
        topics=topics,
        decoder=command.decoder or held.decoder,
        secrets=_secrets(settings, dict(held.secrets), references),
    )
    return [] if held.evolve(changed) == held else [changed]


def _topics(
    command: ChangeIntegration, held: Integration, settings: BrokerSettings
) -> tuple[TopicFilter, ...]:
    """Empty means the defaults, which follow the kind of broker."""
    assert held.settings is not None
    topics = held.topics if command.topics is None else command.topics
    if command.topics is None and topics == default_topics(held.settings):
        topics = ()
    return topics or default_topics(settings)


def _secrets(settings: BrokerSettings, held: References, sent: References) -> dict[str, str]:
    """What was sent in place of what is held; what no longer belongs to the settings goes."""
    allowed = secrets_allowed(settings)
    for name in sent:
        if name not in allowed:
            detail = f"no such secret belongs to auth {settings.auth}"
            if name == "client_key":
                detail = "a key without its certificate: send tls.client_certificate too"
            raise Refused("request.invalid", detail, field=FIELDS.get(name, "secrets"))
    kept = {name: reference for name, reference in held.items() if name in allowed}
    for name in secrets_needed(settings):
        if name not in kept and name not in sent:
            raise Refused("request.invalid", f"auth {settings.auth} needs it", field=FIELDS[name])
    return {**kept, **sent}
