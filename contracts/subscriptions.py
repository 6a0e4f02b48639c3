"""Subscriptions of an integration: added and removed one by one, each in force on the running link."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from contracts.broker_topics import TopicFilter
from contracts.calls import Call, Model, Request
from contracts.integrations import IntegrationView
from contracts.webhook_fields import Url

CALLBACKS_MAX = 100  # of an organization
SubscriptionState = Literal["granted", "refused", "pending"]


class AddSubscription(Request):
    """One with the same filter is there once: with the new QoS and callback, or without.

    A callback is a webhook of these messages. Refused("limit.reached") above CALLBACKS_MAX of an organization.
    """

    id: str
    topic: TopicFilter
    callback_url: Url | None = None


class SubscriptionAdded(Model):
    """Its webhook, where it has a callback; the secret where that is new."""

    webhook: str | None = None
    secret: str | None = None


class RemoveSubscription(Request):
    id: str
    filter: str


class SubscriptionView(Model):
    """`pending`: the link is not connected, or has not asked for it yet. Counts are of the time since a process
    has the link; `since` is when the broker first granted it to this process."""

    filter: str
    qos: Literal[0, 1, 2]
    state: SubscriptionState
    granted_qos: int | None = None
    reason: str | None = None  # why it is refused, in the broker's words
    since: datetime | None = None
    messages: int = 0
    last_message_at: datetime | None = None
    callback_url: str | None = None
    webhook_id: str | None = None  # whose calls go there


class Subscriptions(Model):
    items: tuple[SubscriptionView, ...]


ADD_SUBSCRIPTION = Call("command.credentials.add-subscription", AddSubscription, SubscriptionAdded)
REMOVE_SUBSCRIPTION = Call("command.credentials.remove-subscription", RemoveSubscription, IntegrationView)
