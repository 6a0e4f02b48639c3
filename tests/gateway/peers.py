"""Small stand-ins for credentials, telemetry and ingest: on the real bus, with the real contracts."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pydantic import SecretStr

from contracts import (
    alert_previews,
    alert_rules,
    alerts,
    certificates,
    connection_test,
    connections,
    credentials,
    decoder_previews,
    device_commands,
    devices,
    exports,
    integrations,
    key_rotation,
    limits,
    links,
    metrics,
    organizations,
    publishing,
    rebuild,
    redecode,
    retention,
    series,
    stats,
    subscriptions,
    telemetry,
    webhook_deliveries,
    webhooks,
)
from contracts.broker_settings import broker_settings
from contracts.broker_topics import TopicFilter
from contracts.calls import Call, Nothing, Page
from contracts.failures import Refused
from contracts.organizations import ALL_SCOPES, PLATFORM, Principal, Scope
from contracts.secrets_format import mint
from deploy.local.nats import NatsServer
from runtime import rpc
from runtime.bus import Bus, connect
from runtime.settings import BusSettings

NOW = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
ALPHA, BETA = "org_alpha00000000000", "org_beta000000000000"
CREDENTIAL = "cred_0000000000000001"


@dataclass(frozen=True)
class Keys:
    """Secrets that stay the same for the whole run: the gateway remembers them."""

    alpha: str = field(default_factory=lambda: mint("key"))
    alpha_read: str = field(default_factory=lambda: mint("key"))
    alpha_publish: str = field(default_factory=lambda: mint("key"))
    beta: str = field(default_factory=lambda: mint("key"))
    operator: str = field(default_factory=lambda: mint("admin"))
    device: str = field(default_factory=lambda: mint("dev"))
    unknown: str = field(default_factory=lambda: mint("key"))


KEYS = Keys()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def basic(username: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


def _principal(organization: str, name: str, *scopes: Scope) -> Principal:
    return Principal(organization=organization, actor=f"key:key_{name}", scopes=scopes)


@dataclass
class Peers:
    """What was asked is in `asked`, newest last; `answers` replaces an answer by call subject."""

    buses: dict[str, Bus]
    principals: dict[str, Principal]
    asked: list[Any] = field(default_factory=list)
    answers: dict[str, Callable[[Any], Awaitable[Any]]] = field(default_factory=dict)

    def last(self, kind: type[Any]) -> Any:
        """The newest request of this kind."""
        return next(each for each in reversed(self.asked) if isinstance(each, kind))

    def count(self, kind: type[Any]) -> int:
        return sum(isinstance(each, kind) for each in self.asked)

    def refuse(self, call: Call[Any, Any], failure: Exception) -> None:
        async def answer(_: Any) -> Any:
            raise failure

        self.answers[call.subject] = answer

    def _serve(self, service: str, what: Call[Any, Any], answer: Callable[[Any], Any]) -> None:
        async def handle(request: Any) -> Any:
            self.asked.append(request)
            if replaced := self.answers.get(what.subject):
                return await replaced(request)
            return answer(request)

        rpc.serve(self.buses[service].broker, what, handle, queue=service)

    def serve_all(self) -> None:
        for what, answer in (_CREDENTIALS | _WEBHOOKS).items():
            self._serve("credentials", what, answer)
        self._serve("credentials", organizations.AUTHENTICATE, self._authenticate)
        self._serve("credentials", credentials.AUTHENTICATE_DEVICE, _authenticate_device)
        for what, answer in _TELEMETRY.items():
            self._serve("telemetry", what, answer)
        for what, answer in (_INGEST | _LINKS | _CALLS_TO_WEBHOOKS).items():
            self._serve("ingest", what, answer)
        self._serve_connection_tests()
        self._serve_exports()

    def _serve_exports(self) -> None:
        """Empty ones, where `answers` has no other."""

        async def answer(subject: str, request: Any) -> tuple[exports.ExportPage, bytes]:
            self.asked.append(request)
            if replaced := self.answers.get(subject):
                page: tuple[exports.ExportPage, bytes] = await replaced(request)
                return page
            return exports.ExportPage(position=None, rows=1000), b""

        serve: Any = rpc.serve_bulk  # of two kinds
        for what in (exports.EXPORT_READINGS, exports.EXPORT_ACTIVITY):
            handler = partial(answer, what.subject)
            serve(self.buses["telemetry"].broker, what, handler, queue="telemetry")

    def _serve_connection_tests(self) -> None:
        async def answer(
            request: connection_test.TestConnection, tell: Callable[[connection_test.Step], Awaitable[None]]
        ) -> connection_test.ConnectionTested:
            self.asked.append(request)
            return await _tested(request, tell)

        broker = self.buses["ingest"].broker
        rpc.serve_with_steps(broker, connection_test.TEST_CONNECTION, answer, queue="ingest")

    def _authenticate(self, request: organizations.Authenticate) -> Principal:
        try:
            return self.principals[request.secret]
        except KeyError:
            raise Refused("key.invalid", "the key is unknown, expired or revoked") from None


def principals() -> dict[str, Principal]:
    return {
        KEYS.alpha: _principal(ALPHA, "alpha", "admin"),
        KEYS.alpha_read: _principal(ALPHA, "read", "read"),
        KEYS.alpha_publish: _principal(ALPHA, "publish", "publish"),
        KEYS.beta: _principal(BETA, "beta", "admin"),
        KEYS.operator: Principal(organization=PLATFORM, actor="admin", scopes=ALL_SCOPES),
    }


def _authenticate_device(request: credentials.AuthenticateDevice) -> Principal:
    if (request.username, request.password) != (CREDENTIAL, KEYS.device):
        raise Refused("connect.unknown", "no such credential, or a wrong password")
    return Principal(
        organization=ALPHA,
        actor=f"device:{CREDENTIAL}",
        scopes=(),
        publish=(f"{ALPHA}/devices/d1/#",),
        device_id="d1",
    )


def _view(request: Any, id: str = CREDENTIAL) -> dict[str, Any]:
    """A credential that belongs to alpha."""
    return {
        "id": id,
        "name": "d1",
        "device_id": "d1",
        "username": id,
        "client_id": "d1",
        "topic_prefix": request.organization,
        "hint": "hmq_dev_abcd",
        "publish": (f"{request.organization}/devices/d1/#",),
        "subscribe": (f"{request.organization}/commands/d1/#",),
        "state": "active",
        "created_at": NOW,
        "expires_at": None,
    }


def _own(request: Any, id: str) -> None:
    if request.organization != ALPHA or request.id != id:
        raise Refused("not_found", f"{request.id} is not here")


def _credential(request: Any) -> credentials.CredentialView:
    _own(request, CREDENTIAL)
    return credentials.CredentialView(**_view(request))


def _history(request: Any) -> credentials.CredentialHistory:
    _own(request, CREDENTIAL)
    entry = credentials.HistoryEntry(
        sequence=7, time=NOW, type="credential.renamed", actor="key:k", data={"name": "d1"}
    )
    return credentials.CredentialHistory(items=[entry])


def _draft(request: Any, wish: credentials.CredentialWish) -> credentials.CredentialDraft:
    return credentials.CredentialDraft(
        name=wish.name or wish.device_id,
        device_id=wish.device_id,
        username=wish.username and f"{request.organization}:{wish.username}",
        publish=(f"{request.organization}/devices/#",),
        subscribe=(),
        expires_at=wish.expires_at,
    )


def _checked(request: Any) -> credentials.AclAnswer:
    return credentials.AclAnswer(allowed=True, filter=_credential(request).publish[0])


def _limits(request: limits.GetLimits) -> limits.LimitsView:
    if request.credential is not None and (request.organization, request.credential) != (ALPHA, CREDENTIAL):
        raise Refused("not_found")
    used = limits.LimitUse(limit="connections", allowed=500, current=2, held=("connect",))
    return limits.LimitsView(items=(used,), measured_at=NOW)


def _storage(request: retention.GetStorage) -> retention.StorageView:
    if set(request.device_id) - {"d1"}:
        raise Refused("not_found")
    return retention.StorageView(bytes=0, items=())


def _changed_limits(id: str) -> Callable[[Any], limits.LimitsView]:
    def answer(request: Any) -> limits.LimitsView:
        if request.organization not in (ALPHA, PLATFORM) or request.id != id:
            raise Refused("not_found")
        set_to = limits.LimitUse(
            limit="connections", allowed=request.limits.connections, current=0, held=("connect",)
        )
        return limits.LimitsView(items=(set_to,))

    return answer


def _connections(request: Any) -> connections.LiveConnections:
    _own(request, CREDENTIAL)
    open_now = connections.Connection(
        id="N-1", client_id="c", address="192.0.2.1", connected_at=NOW, messages_in=5, bytes_in=70
    )
    return connections.LiveConnections(items=(open_now,), count=1)


def _disconnected(request: Any) -> connections.Disconnected:
    _own(request, CREDENTIAL)
    return connections.Disconnected(disconnected=1)


def _certified(request: Any) -> credentials.CredentialView:
    bound = credentials.CertificateView(fingerprint=request.fingerprint, subject=request.subject)
    return _credential(request).model_copy(update={"certificate": bound})


def _uncertified(request: Any) -> Nothing:
    _credential(request)
    return Nothing()


def _revoke(request: Any) -> Nothing:
    _own(request, CREDENTIAL)
    return Nothing()


def _deleted(id: str) -> Callable[[Any], Nothing]:
    def answer(request: Any) -> Nothing:
        if request.organization not in (ALPHA, PLATFORM) or request.id != id:
            raise Refused("not_found")
        return Nothing()

    return answer


def _key(request: Any) -> dict[str, Any]:
    return {
        "id": "key_new",
        "name": request.name,
        "scopes": request.scopes,
        "hint": "hmq_key_abcd",
        "created_at": NOW,
        "expires_at": request.expires_at,
        "state": "active",
    }


def _api_key(request: Any) -> organizations.ApiKeyView:
    _own(request, "key_1")
    return organizations.ApiKeyView(
        id="key_1",
        name="ci",
        scopes=("read",),
        hint="hmq_key_abcd",
        created_at=NOW,
        expires_at=None,
        state="active",
    )


def _integration(request: Any) -> integrations.IntegrationView:
    if request.id == integrations.HOSTED:
        return integrations.IntegrationView(
            id="hosted", name="Hosted broker", broker_type="hosted", created_at=NOW
        )
    _own(request, "int_1")
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


async def _tested(
    request: connection_test.TestConnection, tell: Callable[[connection_test.Step], Awaitable[None]]
) -> connection_test.ConnectionTested:
    ok = request.settings.host != "nowhere.example"
    steps = [connection_test.Step(name="dns", ok=ok, duration_ms=1.5, seen="203.0.113.7")]
    if ok:
        steps.append(connection_test.Step(name="mqtt", ok=True, duration_ms=2.5, seen="accepted"))
    else:
        failed = {"seen": "no such name", "code": "broker.unreachable", "next_action": "check the host"}
        steps[0] = steps[0].model_copy(update=failed)
    for step in steps:
        await tell(step)
    return connection_test.ConnectionTested(ok=ok, steps=tuple(steps))


def _device(request: telemetry.GetDevice) -> telemetry.DeviceDetail:
    _own(request, "d1")
    return telemetry.DeviceDetail(id="d1", online=True, first_seen=NOW, last_seen=NOW, latest={})


def _activity(request: telemetry.GetActivity) -> telemetry.ActivityRow:
    _own(request, "a1")
    return telemetry.ActivityRow(id="a1", time=NOW, kind="link.up", status="ok", summary="", actor="ingest")


def _erasure(request: devices.GetErasure) -> devices.Erasure:
    _own(request, "erase_1")
    return devices.Erasure(id="erase_1", device_id="d1", state="running", forgotten_at=NOW)


def _command(request: device_commands.GetDeviceCommand) -> device_commands.DeviceCommandView:
    _own(request, "cmd_1")
    return device_commands.DeviceCommandView(
        id="cmd_1",
        device_id="d1",
        integration_id="hosted",
        state="queued",
        topic=f"{ALPHA}/commands/d1/set/cmd_1",
        payload="on",
        encoding="utf-8",
        qos=1,
        retain=False,
        response_topic=f"{ALPHA}/devices/d1/responses/cmd_1",
        correlation_id="cmd_1",
        queued_at=NOW,
        expires_at=NOW,
        actor="key:key_alpha",
    )


def _published(_: publishing.Publish) -> publishing.Published:
    return publishing.Published(acknowledged=True, duration_ms=2.0)


def _batch_published(request: publishing.PublishBatch) -> publishing.BatchPublished:
    """The broker refuses what is for `refused`."""
    refused = publishing.PublishFailure(code="broker.refused", detail="Not authorized")
    outcomes = [
        publishing.Outcome(failure=refused)
        if message.topic.endswith("refused")
        else publishing.Outcome(acknowledged=message.qos > 0)
        for message in request.messages
    ]
    return publishing.BatchPublished(outcomes=tuple(outcomes), duration_ms=2.0)


def _empty(page: Any) -> Callable[[Any], Any]:
    return lambda _: page(items=[], next_cursor=None)


def _exists(request: organizations.GetOrganization) -> organizations.OrganizationView:
    if request.organization not in (ALPHA, BETA):
        raise Refused("not_found")
    return organizations.OrganizationView(id=request.organization, name="Acme", created_at=NOW)


def _rotation(_: Any) -> key_rotation.Rotation:
    return key_rotation.Rotation(
        current="new", keys=("new", "old"), rewrapped=3, left=0, unreadable=0, running=False
    )


def _redecode(request: Any) -> redecode.Redecode:
    if request.id != "redec_1":
        raise Refused("not_found")
    return redecode.Redecode(
        id=request.id,
        integration_id="hosted",
        start=NOW,
        end=NOW,
        decoder=integrations.DecoderChoice(),
        decoder_version=1,
        state="running",
        ordered_at=NOW,
    )


def _ordered(request: redecode.OrderRedecode) -> redecode.RedecodeOrder:
    return redecode.RedecodeOrder(
        id="redec_1",
        integration=request.integration,
        start=request.start,
        end=request.end or NOW,
        decoder=request.decoder,
    )


def _previewed(_: Any) -> redecode.RedecodePreview:
    return redecode.RedecodePreview(
        messages=3,
        complete=True,
        looked_until=NOW,
        log_from=NOW,
        added=3,
        removed=6,
        changed=0,
        unchanged=0,
        failed=0,
        resolved=0,
    )


def _rebuild(_: Any) -> rebuild.Rebuild:
    return rebuild.Rebuild(
        id=1,
        state="reading",
        actor="admin",
        ordered_at=NOW,
        began_at=NOW,
        finished_at=None,
        messages=100,
        points=300,
        carried=0,
        messages_left=50,
        points_per_s=100.0,
        left_s=1.5,
        comparison=None,
        error=None,
    )


def _subscribed(request: Any) -> subscriptions.SubscriptionAdded:
    _integration(request)
    if request.callback_url is None:
        return subscriptions.SubscriptionAdded()
    return subscriptions.SubscriptionAdded(webhook="whk_1", secret="whsec_c2VjcmV0")


def _webhook(request: Any) -> webhooks.WebhookView:
    _own(request, "whk_1")
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


_WEBHOOKS: dict[Call[Any, Any], Callable[[Any], Any]] = {
    webhooks.CREATE_WEBHOOK: _new_webhook,
    webhooks.CHANGE_WEBHOOK: _webhook,
    webhooks.ROTATE_WEBHOOK: _with_secret,
    webhooks.PAUSE_WEBHOOK: _webhook,
    webhooks.RESUME_WEBHOOK: _webhook,
    webhooks.DELETE_WEBHOOK: _webhook_deleted,
    webhooks.GET_WEBHOOK: _webhook,
    webhooks.LIST_WEBHOOKS: _empty(Page[webhooks.WebhookView]),
}
_CALLS_TO_WEBHOOKS: dict[Call[Any, Any], Callable[[Any], Any]] = {
    webhook_deliveries.CHECK_WEBHOOK_URL: lambda _: Nothing(),
    webhook_deliveries.GET_WEBHOOK_STATE: lambda _: webhook_deliveries.WebhookState(state="healthy"),
    webhook_deliveries.LIST_DELIVERIES: _empty(Page[webhook_deliveries.WebhookDelivery]),
    webhook_deliveries.TEST_WEBHOOK: lambda _: webhook_deliveries.WebhookTested(
        ok=True, url="https://hooks.example", headers={}, body="{}", duration_ms=2.0, status=200
    ),
    webhook_deliveries.RETRY_DELIVERIES.at(ALPHA, "whk_1"): lambda _: webhook_deliveries.DeliveriesRetried(
        retried=1
    ),
}


def _rule(request: Any) -> alert_rules.AlertRuleView:
    if request.id != alert_rules.LINKS:
        raise Refused("not_found")
    held = alert_rules.BUILT_IN.model_dump()
    return alert_rules.AlertRuleView(id=request.id, built_in=True, created_at=NOW, **held)


def _alert(request: Any) -> alerts.Alert:
    if request.id != "alert_1":
        raise Refused("not_found")
    return alerts.Alert(
        id=request.id,
        state="open",
        rule_id=alert_rules.LINKS,
        rule_name="links",
        kind="link",
        severity="warning",
        summary="down",
        since=NOW,
        opened_at=NOW,
    )


_CREDENTIALS: dict[Call[Any, Any], Callable[[Any], Any]] = {
    alert_rules.CREATE_ALERT_RULE: lambda request: alert_rules.AlertRuleView(
        id="rule_1", created_at=NOW, **request.rule.model_dump()
    ),
    alert_rules.CHANGE_ALERT_RULE: _rule,
    alert_rules.DELETE_ALERT_RULE: _deleted("rule_1"),
    alert_rules.LIST_ALERT_RULES: _empty(Page[alert_rules.AlertRuleView]),
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
    organizations.CREATE_ORGANIZATION: lambda r: organizations.OrganizationIssued(
        id=ALPHA, name=r.name, api_key=organizations.ApiKeySecret(id="key_new", secret=KEYS.alpha)
    ),
    organizations.DELETE_ORGANIZATION: _deleted(ALPHA),
    organizations.GET_ORGANIZATION: _exists,
    organizations.LIST_ORGANIZATIONS: lambda _: Page[organizations.OrganizationView](
        items=[organizations.OrganizationView(id=ALPHA, name="alpha", created_at=NOW)], next_cursor=None
    ),
    key_rotation.ROTATE_SECRETS: _rotation,
    key_rotation.GET_ROTATION: _rotation,
    organizations.ISSUE_API_KEY: lambda r: organizations.ApiKeyWithSecret(**_key(r), secret=mint("key")),
    organizations.REVOKE_API_KEY: _deleted("key_1"),
    organizations.ROTATE_ADMIN_KEY: lambda _: organizations.AdminKeySecret(
        secret=KEYS.operator, hint="hmq_admin_abcd", previous_until=None
    ),
    organizations.LIST_API_KEYS: _empty(Page[organizations.ApiKeyView]),
    organizations.GET_API_KEY: _api_key,
    credentials.ISSUE_CREDENTIAL: lambda r: credentials.CredentialWithPassword(
        **_view(r), password=KEYS.device
    ),
    credentials.ISSUE_CREDENTIALS: lambda r: credentials.CredentialsIssued(
        outcomes=tuple(
            credentials.CredentialOutcome(
                credential=credentials.CredentialWithPassword(**_view(r), password=KEYS.device)
            )
            for _ in r.wishes
        )
    ),
    credentials.CHECK_CREDENTIALS: lambda r: credentials.CredentialsChecked(
        outcomes=tuple(credentials.DraftOutcome(credential=_draft(r, wish)) for wish in r.wishes)
    ),
    credentials.REVOKE_CREDENTIAL: _revoke,
    credentials.LIST_CREDENTIALS: lambda r: Page[credentials.CredentialView](
        items=[credentials.CredentialView(**_view(r))], next_cursor="next"
    ),
    credentials.GET_CREDENTIAL: _credential,
    credentials.RENAME_CREDENTIAL: lambda r: _credential(r).model_copy(update={"name": r.name}),
    credentials.ROTATE_CREDENTIAL: lambda r: credentials.CredentialWithPassword(
        **_credential(r).model_dump(), password=KEYS.device
    ),
    certificates.BIND_CERTIFICATE: _certified,
    certificates.UNBIND_CERTIFICATE: _uncertified,
    credentials.CHANGE_ACL: _credential,
    credentials.CHANGE_EXPIRY: lambda r: _credential(r).model_copy(update={"expires_at": r.expires_at}),
    credentials.CHECK_ACL: _checked,
    credentials.GET_HISTORY: _history,
    connections.LIST_CONNECTIONS: _connections,
    limits.GET_LIMITS: _limits,
    retention.CHANGE_RETENTION: lambda r: r.retention,
    limits.CHANGE_CREDENTIAL_LIMITS: _changed_limits(CREDENTIAL),
    limits.CHANGE_ORGANIZATION_LIMITS: _changed_limits(ALPHA),
    connections.DISCONNECT_CREDENTIAL: _disconnected,
    integrations.CREATE_INTEGRATION: _created,
    integrations.CHANGE_INTEGRATION: _changed,
    integrations.DELETE_INTEGRATION: _deleted("int_1"),
    integrations.LIST_INTEGRATIONS: _empty(Page[integrations.IntegrationView]),
    integrations.GET_INTEGRATION: _integration,
    links.PAUSE_INTEGRATION: _integration,
    subscriptions.ADD_SUBSCRIPTION: _subscribed,
    subscriptions.REMOVE_SUBSCRIPTION: _integration,
    links.RESUME_INTEGRATION: _integration,
    links.WATCH_INTEGRATION: _integration,
}
_TELEMETRY: dict[Call[Any, Any], Callable[[Any], Any]] = {
    retention.GET_RETENTION: lambda r: retention.RetentionView(
        **retention.DEFAULT.model_dump(), chosen=False
    ),
    retention.GET_STORAGE: _storage,
    alert_previews.PREVIEW_ALERT_RULE: lambda _: alert_previews.AlertPreview(
        start=NOW, end=NOW, complete=True, judged=0, opened=0
    ),
    alerts.LIST_ALERTS: _empty(Page[alerts.AlertRow]),
    alerts.GET_ALERT: _alert,
    alerts.ACKNOWLEDGE_ALERT: _alert,
    alerts.RESOLVE_ALERT: _alert,
    redecode.PREVIEW_REDECODE: _previewed,
    redecode.LIST_REDECODES: lambda _: Page[redecode.Redecode](items=[]),
    redecode.GET_REDECODE: _redecode,
    redecode.PAUSE_REDECODE: _redecode,
    redecode.RESUME_REDECODE: _redecode,
    redecode.CANCEL_REDECODE: _redecode,
    decoder_previews.CHECK_DECODER: lambda _: Nothing(),
    decoder_previews.PREVIEW_DECODER: lambda _: decoder_previews.DecoderPreview(outcome="nothing"),
    rebuild.START_REBUILD: _rebuild,
    rebuild.GET_REBUILD: lambda r: rebuild.RebuildState(rebuild=_rebuild(r)),
    rebuild.CANCEL_REBUILD: _rebuild,
    rebuild.GET_LOGS: lambda _: rebuild.Logs(projections=[]),
    telemetry.LIST_TELEMETRY: lambda _: Page[telemetry.TelemetryRow](
        items=[
            telemetry.TelemetryRow(
                device_id="d1",
                timestamp=NOW,
                metrics={"temperature": 21.5, "open": True, "count": 3, "mode": "auto"},
                topic="t",
                integration_id="hosted",
                sequence=1,
            )
        ],
        next_cursor=None,
    ),
    series.GET_SERIES: lambda r: series.SeriesPage(
        start=NOW, end=NOW, interval=r.interval, time_zone=r.time_zone, fill=r.fill, timestamps=[], items=[]
    ),
    series.LIST_LATEST: _empty(Page[series.LatestRow]),
    telemetry.LIST_MESSAGES: _empty(Page[telemetry.MessageRow]),
    stats.GET_STATS: lambda r: stats.StatsPage(
        start=NOW, end=NOW, interval=r.interval, by=r.by, timestamps=[], items=[]
    ),
    telemetry.LIST_METRICS: _empty(Page[telemetry.MetricRow]),
    telemetry.LIST_DEVICES: _empty(Page[telemetry.DeviceRow]),
    telemetry.GET_DEVICE: _device,
    devices.LIST_ERASURES: _empty(Page[devices.Erasure]),
    devices.GET_ERASURE: _erasure,
    connections.GET_CONNECTION_STATISTICS: lambda _: connections.ConnectionStatistics(
        connects=4, messages_in=10, last_seen_at=NOW
    ),
    telemetry.LIST_ACTIVITY: _empty(Page[telemetry.ActivityRow]),
    telemetry.GET_ACTIVITY: _activity,
    device_commands.LIST_DEVICE_COMMANDS: _empty(Page[device_commands.DeviceCommandView]),
    device_commands.GET_DEVICE_COMMAND: _command,
}
_INGEST: dict[Call[Any, Any], Callable[[Any], Any]] = {
    publishing.PUBLISH: _published,
    publishing.PUBLISH_BATCH: _batch_published,
}
_LINKS: dict[Call[Any, Any], Callable[[Any], Any]] = {
    publishing.PUBLISH_TO_LINK.at(ALPHA, "int_1"): _published,
    publishing.PUBLISH_BATCH_TO_LINK.at(ALPHA, "int_1"): _batch_published,
    links.GET_STATUS.at(ALPHA, "int_1"): lambda _: links.LinkStatus(
        integration_id="int_1", state="up", since=NOW, owner="ingest-1"
    ),
}


@asynccontextmanager
async def started_peers(server: NatsServer) -> AsyncIterator[Peers]:
    async with AsyncExitStack() as stack:
        buses = {}
        for name in ("credentials", "telemetry", "ingest"):
            settings = BusSettings(nats_url=server.url, nats_seed=SecretStr(server.seeds.platform[name]))
            buses[name] = await connect(settings, name)
            stack.push_async_callback(buses[name].broker.stop)
        peers = Peers(buses, principals())
        peers.serve_all()
        for bus in buses.values():
            await bus.start()
        yield peers
