"""Every NATS subject is built here, and taken apart here. Building one anywhere else is a bug."""

from __future__ import annotations

from typing import Literal, NamedTuple

from contracts.partition import partition

EntityKind = Literal[
    "organization",
    "api-key",
    "admin-key",
    "credential",
    "integration",
    "redecode",
    "metric",
    "device",
    "alert-rule",
    "webhook",
]
REGISTRY_ALL = "registry.>"
MESSAGES_ALL = "message.>"
LINK_CLAIMS_PREFIX = "message._."  # of no partition
ACTIVITY_ALL = "activity.>"
DEADLETTERS_ALL = "deadletter.>"
COMMANDS_ALL = "device-command.>"
ALERTS_ALL = "alert.>"
DELIVERIES_ALL = "delivery.>"

HOSTED, HTTP = "hosted", "http"  # sources that are no integration id
PARTITIONS = 8  # fixed: changing it would move devices between partitions of a log that is kept for weeks

# Subjects of the device account: every publish of every QoS below an organization's `devices`.
DEVICE_PUBLISHES = "*.devices.>"
DEVICE_COMMANDS = "*.commands.>"
AUTH_CALLOUT = "$SYS.REQ.USER.AUTH"


class Entity(NamedTuple):
    """What a REGISTRY subject names."""

    organization: str
    kind: str
    id: str


def registry(organization: str, kind: EntityKind, id: str) -> str:
    return f"registry.{organization}.{kind}.{id}"


def registry_of_kind(kind: EntityKind) -> str:
    """Filter for all entities of a kind, of all organizations."""
    return f"registry.*.{kind}.*"


def entity(subject: str) -> Entity:
    _, organization, kind, id = subject.split(".")
    return Entity(organization, kind, id)


def message(organization: str, source: str, device: str | None) -> str:
    """Subject of a message that did not come through the hosted broker (its topic is in a header).

    Order holds per device: where the topic names none, all of a source's such messages share a partition.
    """
    return f"message.{partition(organization, device or source, PARTITIONS)}.{organization}.{source}"


def hosted_message(organization: str, device: str, rest: str) -> str:
    """Subject of a hosted message, the same that the stream's source gives; `rest` is in subject form."""
    return f"message.{partition(organization, device, PARTITIONS)}.{organization}.{HOSTED}.{device}.{rest}"


def messages_of(organization: str) -> tuple[str, str]:
    """Filters for all messages of an organization."""
    return f"message.*.{organization}.*", f"message.*.{organization}.*.>"


def all_messages_of(organization: str) -> str:
    """The same in one filter."""
    return f"message.*.{organization}.>"


def messages_of_source(organization: str, source: str) -> str:
    return f"message.*.{organization}.{source}"


def hosted_messages_of(organization: str) -> str:
    """Filter for an organization's messages of the hosted broker."""
    return f"message.*.{organization}.{HOSTED}.>"


def messages_of_hosted() -> str:
    """Filter for all messages of the hosted broker, of all organizations."""
    return f"message.*.*.{HOSTED}.>"


def messages_of_partition(number: int) -> str:
    return f"message.{number}.>"


def activity(organization: str, kind: str) -> str:
    """`kind` may have dots (`credential.issued`): they become dashes, a kind is one token."""
    return f"activity.{organization}.{kind.replace('.', '-')}"


def activity_of(organization: str) -> str:
    """Filter for an organization's activity."""
    return f"activity.{organization}.*"


def deadletter(organization: str, source: str) -> str:
    return f"deadletter.{organization}.{source}"


def device_command(organization: str, id: str) -> str:
    """Subject of a command to a device."""
    return f"device-command.{organization}.{id}"


def named_command(subject: str) -> tuple[str, str]:
    """Organization and id of the command that this is the subject of."""
    _, organization, id = subject.split(".")
    return organization, id


def alert(organization: str, id: str) -> str:
    """Subject of an alert."""
    return f"alert.{organization}.{id}"


def alerts_of(organization: str) -> str:
    """Filter for an organization's alerts."""
    return f"alert.{organization}.*"


def named_alert(subject: str) -> tuple[str, str]:
    """Organization and id of the alert that this is the subject of."""
    _, organization, id = subject.split(".")
    return organization, id


def delivery(organization: str, webhook: str, slot: str) -> str:
    """One of a webhook's slots for calls, or what is kept of the webhook itself."""
    return f"delivery.{organization}.{webhook}.{slot}"


def deliveries_of(organization: str, webhook: str) -> str:
    """Filter for all that is kept of a webhook's calls."""
    return delivery(organization, webhook, "*")


def hosted_answers() -> str:
    """Filter for answers on the hosted broker's own topics, of all devices of all organizations."""
    return f"message.*.*.{HOSTED}.*.responses.>"


def retained_of(organization: str) -> str:
    """Filter for an organization's retained messages in the server's own stream of the device account."""
    return f"$MQTT.rmsgs.{organization}.>"


def last_used(organization: str, id: str) -> str:
    """Entry of the bucket LAST_USED, of a credential or an API key."""
    return f"$KV.LAST_USED.{organization}.{id}"


def lease(organization: str, integration: str) -> str:
    """Entry of the bucket LEASES: which ingest process owns an external link."""
    return f"$KV.LEASES.{organization}.{integration}"


def replica(id: str) -> str:
    """Entry of the bucket REPLICAS: an ingest process that is alive."""
    return f"$KV.REPLICAS.{id}"


def link_claim(organization: str, integration: str) -> str:
    """In MESSAGES, beside the messages of all partitions: which ingest process owns an external link."""
    return f"{LINK_CLAIMS_PREFIX}links.{organization}.{integration}"


def is_message(subject: str) -> bool:
    """Whether an entry of MESSAGES is one: claims to links and commands to devices stand there beside them."""
    return subject.startswith("message.") and not subject.startswith(LINK_CLAIMS_PREFIX)


def claimed_link(subject: str) -> tuple[str, str]:
    """Organization and integration that a claim names."""
    _, _, _, organization, integration = subject.split(".")
    return organization, integration


def link_call(organization: str, integration: str, verb: str) -> str:
    """A call to whichever ingest process owns this external link: nobody else subscribes to it."""
    return f"link.{organization}.{integration}.{verb}"


def link_calls(organization: str, integration: str) -> str:
    """Filter for all calls to a link."""
    return link_call(organization, integration, "*")
