"""A tenant's topics: written relative (`devices/d1/telemetry`) or whole, never another tenant's."""

from __future__ import annotations

from contracts.failures import Refused
from contracts.topics import check_topic
from services.gateway.auth import ORGANIZATION


def whole(topic: str, organization: str) -> str:
    """The topic with its organization's prefix. Refused: topic.invalid, topic.forbidden."""
    first = topic.partition("/")[0]
    if first != organization:
        if ORGANIZATION.fullmatch(first):
            raise Refused("topic.forbidden", "this topic belongs to another organization", field="topic")
        check_relative(topic)
        topic = f"{organization}/{topic}"
    check_relative(topic)
    return topic


def check_relative(topic: str) -> None:
    """contracts.topics' rules for the hosted broker, with the field's name."""
    try:
        check_topic(topic, hosted=True)
    except Refused as refused:
        raise Refused(refused.code, refused.detail, field="topic") from None
