"""Which of a credential's filters allows it: the answer to "why can this device not publish?"; pure."""

from __future__ import annotations

from contracts.acl import may_publish
from contracts.credentials import CheckAcl
from contracts.failures import Refused
from contracts.topics import check_filter, check_topic, covers
from services.credentials.filters import expanded
from services.credentials.states.credential import Credential


def allowing(asked: CheckAcl, held: Credential) -> str | None:
    """The filter as it stands in the credential. Raises Refused for what is no topic or filter."""
    publishes = asked.action == "publish"
    topic = asked.topic
    try:
        (check_topic if publishes else check_filter)(topic)
    except Refused as refused:
        raise Refused(refused.code, refused.detail, field="topic") from None
    if not topic.startswith(f"{asked.organization}/"):
        topic = f"{asked.organization}/{topic}"
    filters = held.publish if publishes else held.subscribe
    for filter in filters:
        [whole] = expanded((filter,), held.device_id, held.client_id)
        if may_publish((whole,), topic) if publishes else covers(whole, topic):
            return filter
    return None
