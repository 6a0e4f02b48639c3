"""What credentials answers about integrations, webhooks, rules and devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts import (
    alert_rules,
    devices,
    integrations,
    links,
    metrics,
    redecode,
    retention,
    subscriptions,
    webhooks,
)
from contracts.broker_settings import broker_settings
from contracts.broker_topics import TopicFilter
from contracts.calls import Call, Nothing, Page
from contracts.failures import Refused
from tests.gateway.callers import NOW, deleted, empty, own


def _integration(request: Any) -> integrations.IntegrationView:
    if request.id == integrations.HOSTED:
        return integrations.IntegrationView(
            id="hosted", name="Hosted broker", broker_type="hosted", created_at=NOW
        )
    own(request, "int_1")
    return integrations.IntegrationView(
        id="int_1",
        name="plant",
        broker_type="external",
        settings=broker_settings(host="broker.example", port=1883, keepalive_s=30, username="u"),
        has_secrets=("password",),
        topics=(TopicFilter(filter="devices/+/telemetry"),),
        created_at=NOW,
    )


def _created(request: Any) -> integrations.IntegrationView:
    return integrations.IntegrationView(
        id="int_1",
        name=request.name,
        broker_type="external",
        settings=request.settings,
        has_secrets=tuple(request.secrets),
        topics=request.topics,
        decoder=request.decoder,
        created_at=NOW,
    )


def _changed(request: Any) -> integrations.IntegrationView:
    held = _integration(request)
    sent = {
        name: value
        for name in ("name", "settings", "topics", "decoder")
        if (value := getattr(request, name)) is not None
    }
    return held.model_copy(update=sent)


def _subscribed(request: Any) -> subscriptions.SubscriptionAdded:
    _integration(request)
    if request.callback_url is None:
        return subscriptions.SubscriptionAdded()
    return subscriptions.SubscriptionAdded(webhook="whk_1", secret="whsec_c2VjcmV0")


def _webhook(request: Any) -> webhooks.WebhookView:
    own(request, "whk_1")
    return webhooks.WebhookView(
        id="whk_1", name="ops", url="https://hooks.example", events=("link.*",), created_at=NOW
    )


def _new_webhook(request: Any) -> webhooks.WebhookWithSecret:
    settings = request.settings.model_dump()
    return webhooks.WebhookWithSecret(
        id="whk_1", **settings, headers=tuple(request.headers), created_at=NOW, secret="whsec_c2VjcmV0"
    )


def _with_secret(request: Any) -> webhooks.WebhookWithSecret:
    return webhooks.WebhookWithSecret(**_webhook(request).model_dump(), secret="whsec_c2VjcmV0")


def _webhook_deleted(request: Any) -> Nothing:
    _webhook(request)
    return Nothing()


WEBHOOKS: dict[Call[Any, Any], Callable[[Any], Any]] = {
    webhooks.CREATE_WEBHOOK: _new_webhook,
    webhooks.CHANGE_WEBHOOK: _webhook,
    webhooks.ROTATE_WEBHOOK: _with_secret,
    webhooks.PAUSE_WEBHOOK: _webhook,
    webhooks.RESUME_WEBHOOK: _webhook,
    webhooks.DELETE_WEBHOOK: _webhook_deleted,
    webhooks.GET_WEBHOOK: _webhook,
    webhooks.LIST_WEBHOOKS: empty(Page[webhooks.WebhookView]),
}


def _rule(request: Any) -> alert_rules.AlertRuleView:
    if request.id != alert_rules.LINKS:
        raise Refused("not_found")
    held = alert_rules.BUILT_IN.model_dump()
    return alert_rules.AlertRuleView(id=request.id, built_in=True, created_at=NOW, **held)


def _ordered(request: redecode.OrderRedecode) -> redecode.RedecodeOrder:
    return redecode.RedecodeOrder(
        id="redec_1",
        integration=request.integration,
        start=request.start,
        end=request.end or NOW,
        decoder=request.decoder,
    )


INTEGRATIONS: dict[Call[Any, Any], Callable[[Any], Any]] = {
    alert_rules.CREATE_ALERT_RULE: lambda request: alert_rules.AlertRuleView(
        id="rule_1", created_at=NOW, **request.rule.model_dump()
    ),
    alert_rules.CHANGE_ALERT_RULE: _rule,
    alert_rules.DELETE_ALERT_RULE: deleted("rule_1"),
    alert_rules.LIST_ALERT_RULES: empty(Page[alert_rules.AlertRuleView]),
    alert_rules.GET_ALERT_RULE: _rule,
    metrics.DESCRIBE_METRIC: lambda request: metrics.MetricDescription(
        **request.model_dump(include=set(metrics.MetricDescription.model_fields))
    ),
    metrics.CLEAR_METRIC: lambda _: Nothing(),
    devices.FORGET_DEVICE: lambda request: devices.ForgottenDevice(
        erasure="erase_1", device_id=request.device_id, forgotten_at=NOW
    ),
    devices.DESCRIBE_DEVICE: lambda request: devices.DeviceSettings(
        id=request.device_id, name=request.name or None, tags=request.tags or ()
    ),
    redecode.ORDER_REDECODE: _ordered,
    retention.CHANGE_RETENTION: lambda r: r.retention,
    integrations.CREATE_INTEGRATION: _created,
    integrations.CHANGE_INTEGRATION: _changed,
    integrations.DELETE_INTEGRATION: deleted("int_1"),
    integrations.LIST_INTEGRATIONS: empty(Page[integrations.IntegrationView]),
    integrations.GET_INTEGRATION: _integration,
    links.PAUSE_INTEGRATION: _integration,
    subscriptions.ADD_SUBSCRIPTION: _subscribed,
    subscriptions.REMOVE_SUBSCRIPTION: _integration,
    links.RESUME_INTEGRATION: _integration,
    links.WATCH_INTEGRATION: _integration,
}
