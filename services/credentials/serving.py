"""Everything that other services may ask of this one, and who answers it."""

from __future__ import annotations

from contracts import alert_rules, credentials, credentials_bulk, integrations, links, organizations
from contracts import limits as limit_calls
from contracts.certificates import BIND_CERTIFICATE, UNBIND_CERTIFICATE
from contracts.devices import DESCRIBE_DEVICE, FORGET_DEVICE
from contracts.metrics import CLEAR_METRIC, DESCRIBE_METRIC
from contracts.redecode import END_REDECODE, ORDER_REDECODE, ORDER_RETRY
from contracts.retention import CHANGE_RETENTION
from contracts.subscriptions import ADD_SUBSCRIPTION, REMOVE_SUBSCRIPTION
from contracts.webhooks import (
    CHANGE_WEBHOOK,
    CREATE_WEBHOOK,
    DELETE_WEBHOOK,
    GET_WEBHOOK,
    LIST_WEBHOOKS,
    PAUSE_WEBHOOK,
    RESUME_WEBHOOK,
    ROTATE_WEBHOOK,
)
from runtime import rpc
from runtime.service import Service
from services.credentials.admin_key import AdminKeyHandlers
from services.credentials.alert_rule_handlers import AlertRuleHandlers
from services.credentials.authentication import Authentication
from services.credentials.bulk import BulkHandlers
from services.credentials.certificate_handlers import CertificateHandlers
from services.credentials.credential_handlers import CredentialHandlers
from services.credentials.device_handlers import DeviceHandlers
from services.credentials.handlers import Handlers
from services.credentials.history import Histories
from services.credentials.hosted import HostedBroker, admitting
from services.credentials.integration_handlers import IntegrationHandlers
from services.credentials.limit_handlers import LimitHandlers
from services.credentials.link_handlers import LinkHandlers
from services.credentials.metric_handlers import MetricHandlers
from services.credentials.queries import Queries
from services.credentials.redecode_handlers import RedecodeHandlers
from services.credentials.retention_handlers import RetentionHandlers
from services.credentials.subscription_handlers import SubscriptionHandlers
from services.credentials.webhook_handlers import WebhookHandlers

NAME = "credentials"


def serve_calls(
    service: Service,
    handlers: Handlers,
    bulk: BulkHandlers,
    lifecycle: CredentialHandlers,
    certificate: CertificateHandlers,
    integration: IntegrationHandlers,
    link: LinkHandlers,
    subscription: SubscriptionHandlers,
    redecode: RedecodeHandlers,
    metric: MetricHandlers,
    device: DeviceHandlers,
    alert_rule: AlertRuleHandlers,
    queries: Queries,
    history: Histories,
    admin_key: AdminKeyHandlers,
    hosted: HostedBroker,
) -> None:
    """Everything that other services may ask of this one."""
    broker = service.bus.broker
    rpc.serve(broker, organizations.CREATE_ORGANIZATION, handlers.create_organization, queue=NAME)
    rpc.serve(broker, organizations.DELETE_ORGANIZATION, handlers.delete_organization, queue=NAME)
    rpc.serve(broker, organizations.LIST_ORGANIZATIONS, queries.organizations, queue=NAME)
    rpc.serve(broker, organizations.GET_ORGANIZATION, queries.organization, queue=NAME)
    rpc.serve(broker, organizations.ISSUE_API_KEY, handlers.issue_api_key, queue=NAME)
    rpc.serve(broker, organizations.REVOKE_API_KEY, handlers.revoke_api_key, queue=NAME)
    rpc.serve(broker, organizations.ROTATE_ADMIN_KEY, admin_key.rotate, queue=NAME)
    rpc.serve(broker, organizations.LIST_API_KEYS, queries.api_keys, queue=NAME)
    rpc.serve(broker, organizations.GET_API_KEY, queries.api_key, queue=NAME)
    rpc.serve(broker, credentials.ISSUE_CREDENTIAL, admitting(hosted, handlers.issue_credential), queue=NAME)
    rpc.serve(broker, credentials_bulk.ISSUE_CREDENTIALS, bulk.issue, queue=NAME)
    rpc.serve(broker, credentials_bulk.CHECK_CREDENTIALS, bulk.check, queue=NAME)
    rpc.serve(broker, credentials.REVOKE_CREDENTIAL, handlers.revoke_credential, queue=NAME)
    rpc.serve(broker, credentials.RENAME_CREDENTIAL, lifecycle.rename, queue=NAME)
    rpc.serve(broker, credentials.ROTATE_CREDENTIAL, admitting(hosted, lifecycle.rotate), queue=NAME)
    rpc.serve(broker, credentials.CHANGE_ACL, lifecycle.change_acl, queue=NAME)
    rpc.serve(broker, credentials.CHANGE_EXPIRY, lifecycle.change_expiry, queue=NAME)
    rpc.serve(broker, credentials.GET_HISTORY, history.credential, queue=NAME)
    rpc.serve(broker, credentials.CHECK_ACL, queries.check_acl, queue=NAME)
    rpc.serve(broker, BIND_CERTIFICATE, certificate.bind, queue=NAME)
    rpc.serve(broker, UNBIND_CERTIFICATE, certificate.unbind, queue=NAME)
    rpc.serve(broker, credentials.LIST_CREDENTIALS, queries.credentials, queue=NAME)
    rpc.serve(broker, credentials.GET_CREDENTIAL, queries.credential, queue=NAME)
    rpc.serve(broker, integrations.CREATE_INTEGRATION, integration.create, queue=NAME)
    rpc.serve(broker, integrations.CHANGE_INTEGRATION, integration.change, queue=NAME)
    rpc.serve(broker, integrations.DELETE_INTEGRATION, integration.delete, queue=NAME)
    rpc.serve(broker, links.PAUSE_INTEGRATION, link.pause, queue=NAME)
    rpc.serve(broker, links.RESUME_INTEGRATION, link.resume, queue=NAME)
    rpc.serve(broker, links.WATCH_INTEGRATION, link.watch, queue=NAME)
    rpc.serve(broker, ADD_SUBSCRIPTION, subscription.add, queue=NAME)
    rpc.serve(broker, REMOVE_SUBSCRIPTION, subscription.remove, queue=NAME)
    rpc.serve(broker, ORDER_REDECODE, redecode.order, queue=NAME)
    rpc.serve(broker, ORDER_RETRY, redecode.retry, queue=NAME)
    rpc.serve(broker, END_REDECODE, redecode.end, queue=NAME)
    rpc.serve(broker, DESCRIBE_METRIC, metric.describe, queue=NAME)
    rpc.serve(broker, CLEAR_METRIC, metric.clear, queue=NAME)
    rpc.serve(broker, DESCRIBE_DEVICE, device.describe, queue=NAME)
    rpc.serve(broker, FORGET_DEVICE, device.forget, queue=NAME)
    rpc.serve(broker, alert_rules.CREATE_ALERT_RULE, alert_rule.create, queue=NAME)
    rpc.serve(broker, alert_rules.CHANGE_ALERT_RULE, alert_rule.change, queue=NAME)
    rpc.serve(broker, alert_rules.DELETE_ALERT_RULE, alert_rule.delete, queue=NAME)
    rpc.serve(broker, alert_rules.LIST_ALERT_RULES, queries.alert_rules, queue=NAME)
    rpc.serve(broker, alert_rules.GET_ALERT_RULE, queries.alert_rule, queue=NAME)
    rpc.serve(broker, integrations.LIST_INTEGRATIONS, queries.integrations, queue=NAME)
    rpc.serve(broker, integrations.GET_INTEGRATION, queries.integration, queue=NAME)
    rpc.serve(broker, integrations.READ_SECRET, integration.read_secret, queue=NAME)


def serve_limits(service: Service, limits: LimitHandlers, who: Authentication) -> None:
    """Limits, and who somebody is: with the limits that hold for what comes by HTTP."""
    broker = service.bus.broker
    rpc.serve(broker, organizations.AUTHENTICATE, limits.told_to(who.key), queue=NAME)
    rpc.serve(broker, credentials.AUTHENTICATE_DEVICE, limits.told_to(who.device), queue=NAME)
    rpc.serve(broker, limit_calls.CHANGE_ORGANIZATION_LIMITS, limits.change_organization, queue=NAME)
    rpc.serve(broker, limit_calls.CHANGE_CREDENTIAL_LIMITS, limits.change_credential, queue=NAME)
    rpc.serve(broker, limit_calls.GET_LIMITS, limits.get, queue=NAME)


def serve_retention(service: Service, retention: RetentionHandlers) -> None:
    rpc.serve(service.bus.broker, CHANGE_RETENTION, retention.change, queue=NAME)


def serve_webhooks(service: Service, webhook: WebhookHandlers, queries: Queries) -> None:
    broker = service.bus.broker
    rpc.serve(broker, CREATE_WEBHOOK, webhook.create, queue=NAME)
    rpc.serve(broker, CHANGE_WEBHOOK, webhook.change, queue=NAME)
    rpc.serve(broker, ROTATE_WEBHOOK, webhook.rotate, queue=NAME)
    rpc.serve(broker, PAUSE_WEBHOOK, webhook.pause, queue=NAME)
    rpc.serve(broker, RESUME_WEBHOOK, webhook.resume, queue=NAME)
    rpc.serve(broker, DELETE_WEBHOOK, webhook.delete, queue=NAME)
    rpc.serve(broker, LIST_WEBHOOKS, queries.webhooks, queue=NAME)
    rpc.serve(broker, GET_WEBHOOK, queries.webhook, queue=NAME)
