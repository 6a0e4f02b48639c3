"""Integrations: the hosted broker (one per organization, id `hosted`) and the external brokers of a tenant."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import TOPICS_MAX, TopicFilter
from contracts.calls import Call, Model, Nothing, Page, Request
from contracts.envelope import Event
from contracts.organizations import List, Name

HOSTED = "hosted"


class DecoderChoice(Model):
    """A decoder by name; its settings are checked against that decoder's own model."""

    name: str = "standard"
    settings: dict[str, Any] = {}


# events
class IntegrationCreated(Event):
    """`secrets` maps a secret's name (`contracts.broker_secrets.FIELDS`) to a reference into the bucket."""

    type = "integration.created"
    version = 2
    name: str
    settings: BrokerSettings
    topics: tuple[TopicFilter, ...]
    decoder: DecoderChoice
    secrets: dict[str, str] = {}


class IntegrationChanged(Event):
    """The whole of the new state, so that a reader needs no earlier event."""

    type = "integration.changed"
    version = 2
    name: str
    settings: BrokerSettings
    topics: tuple[TopicFilter, ...]
    decoder: DecoderChoice
    secrets: dict[str, str] = {}


class IntegrationDeleted(Event):
    type = "integration.deleted"


class HostedIntegrationChanged(Event):
    """On the subject `registry.<org>.integration.hosted`: how the hosted broker's messages are decoded."""

    type = "integration.hosted-changed"
    name: str
    decoder: DecoderChoice


# commands and queries to credentials
Topics = Annotated[tuple[TopicFilter, ...], Field(max_length=TOPICS_MAX)]


class CreateIntegration(Request):
    name: Name
    settings: BrokerSettings
    secrets: dict[str, SecretStr] = {}
    topics: Topics = ()
    decoder: DecoderChoice = DecoderChoice()


class ChangeIntegration(Request):
    """None leaves a part as it is; a secret that is not sent stays.

    `based_on` are the settings that a change was laid over: where others are held by now, it is a conflict.
    """

    id: str
    name: Name | None = None
    settings: BrokerSettings | None = None
    based_on: BrokerSettings | None = None
    secrets: dict[str, SecretStr] = {}
    topics: Topics | None = None
    decoder: DecoderChoice | None = None


class DeleteIntegration(Request):
    id: str


class GetIntegration(Request):
    id: str


class CertificateFacts(Model):
    """What a certificate says to everybody; `fingerprint` is SHA-256, `key` its type (`EC P-256`)."""

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    fingerprint: str
    key: str


class SettingsWarning(Model):
    """Something that works and should not stay so."""

    code: Literal[
        "tls.unverified",
        "password.in_clear",
        "certificate.expired",
        "certificate.expiring",
        "certificate.not_for_clients",
        "ca.expired",
        "ca.no_authority",
    ]
    field: str
    detail: str


class IntegrationView(Model):
    id: str
    name: str
    broker_type: Literal["hosted", "external"]
    settings: BrokerSettings | None = None
    has_secrets: tuple[str, ...] = ()
    topics: tuple[TopicFilter, ...] = ()
    decoder: DecoderChoice = DecoderChoice()
    created_at: datetime
    client_certificate: CertificateFacts | None = None
    ca_certificates: tuple[CertificateFacts, ...] = ()
    warnings: tuple[SettingsWarning, ...] = ()
    paused: bool = False
    expected_interval_s: float | None = None  # of messages; None: learnt from how they come


class ReadSecret(Model):
    """Ingest asks for a secret that the event of an integration, or of a webhook, refers to."""

    organization: str
    integration: str
    field: str
    reference: str


class Secret(Model):
    value: SecretStr


CREATE_INTEGRATION = Call("command.credentials.create-integration", CreateIntegration, IntegrationView)
CHANGE_INTEGRATION = Call("command.credentials.change-integration", ChangeIntegration, IntegrationView)
DELETE_INTEGRATION = Call("command.credentials.delete-integration", DeleteIntegration, Nothing)
LIST_INTEGRATIONS = Call("query.credentials.integrations", List, Page[IntegrationView])
GET_INTEGRATION = Call("query.credentials.integration", GetIntegration, IntegrationView)
READ_SECRET = Call("secret.credentials.read", ReadSecret, Secret)
