"""The credentials service: the registry's writer, its read side, and the hosted broker's gate."""

from __future__ import annotations

import asyncio
import gc

from contracts import connections as connections_calls
from contracts import key_rotation
from contracts.streams import IDEMPOTENCY_BUCKET, REGISTRY, SECRETS_BUCKET
from contracts.violations import NOTE_VIOLATIONS
from runtime import rpc
from runtime.activity import ActivityLog
from runtime.bus import connect_client
from runtime.event_log import EventLog
from runtime.kv import Bucket
from runtime.service import Service, main, started
from runtime.settings import load
from services.credentials import figures, keyring
from services.credentials.admin_key import AdminKeyHandlers
from services.credentials.admission import Admission
from services.credentials.alert_rule_handlers import AlertRuleHandlers
from services.credentials.announce import Announcer
from services.credentials.authentication import Authentication
from services.credentials.bulk import BulkHandlers
from services.credentials.callout import Callout
from services.credentials.census import Census
from services.credentials.certificate_handlers import CertificateHandlers
from services.credentials.certificates import Certificates
from services.credentials.commands import Commands
from services.credentials.connections import Connections
from services.credentials.connz import Connz
from services.credentials.credential_handlers import CredentialHandlers
from services.credentials.deadlines import Deadlines
from services.credentials.device_handlers import DeviceHandlers
from services.credentials.directory import Directory
from services.credentials.enforcing import Enforcer
from services.credentials.gate import Gate
from services.credentials.handlers import Handlers, Registry
from services.credentials.hashing import Hashing
from services.credentials.history import Histories
from services.credentials.hosted import AskingBroker, HostedBroker
from services.credentials.http_auth.app import HttpAuth, listener
from services.credentials.http_auth.judge import Judge
from services.credentials.integration_handlers import IntegrationHandlers
from services.credentials.janitor import tidy
from services.credentials.last_use import LastUse
from services.credentials.leavings import Leavings
from services.credentials.limit_handlers import LimitHandlers
from services.credentials.limiting import Defaults, Limiter
from services.credentials.link_handlers import LinkHandlers
from services.credentials.live import Live
from services.credentials.metric_handlers import MetricHandlers
from services.credentials.mosquitto.follower import Follower
from services.credentials.mosquitto.presence import Presence
from services.credentials.mosquitto.settings import MosquittoSettings
from services.credentials.plans import Plans, context_of_plan
from services.credentials.queries import Queries
from services.credentials.redecode_handlers import RedecodeHandlers
from services.credentials.refusals import Refusals
from services.credentials.relayed import Relayed
from services.credentials.retained import Retained
from services.credentials.retention_handlers import RetentionHandlers
from services.credentials.rotation import Place, RotationHandlers, Rotator
from services.credentials.sealing import Sealing
from services.credentials.serving import NAME, serve_calls, serve_limits, serve_retention, serve_webhooks
from services.credentials.sessions import Sessions
from services.credentials.settings import CredentialsSettings, key_bytes
from services.credentials.subscription_handlers import SubscriptionHandlers
from services.credentials.takeover import Listener, Takeover
from services.credentials.throttle import Throttle
from services.credentials.user_jwt import Signer
from services.credentials.vault import Vault, context_of_secret
from services.credentials.violations import Violations
from services.credentials.watch import Watch
from services.credentials.webhook_handlers import WebhookHandlers


async def run() -> None:
    settings = load(CredentialsSettings)
    async with started(NAME, settings) as service:
        client = service.bus.client
        hashing = Hashing(key_bytes(settings.secret_hash_key))
        keys = keyring.parse(settings.key_encryption_key.get_secret_value())
        sealing = Sealing(*(key.value for key in keys))
        activity = ActivityLog(service.bus)
        directory = Directory(client)
        service.health.add("registry", lambda: None if directory.caught_up else "reading the registry")
        vault = Vault(Bucket(client, SECRETS_BUCKET), sealing)
        log = EventLog(client, REGISTRY.name)
        plans = Plans(Bucket(client, IDEMPOTENCY_BUCKET), sealing, hashing)
        commands = Commands(log, directory, plans)
        registry = Registry(log, directory)
        last_use = LastUse(client)
        who = Authentication(directory, hashing, settings.admin_key, last_use)
        mosquitto = follower(directory, activity) if settings.hosted_broker == "mosquitto" else None
        hosted: HostedBroker = mosquitto or AskingBroker()
        queries = Queries(directory, last_use)
        serve_calls(
            service,
            Handlers(commands, registry, hashing),
            BulkHandlers(commands, registry, hashing, hosted),
            CredentialHandlers(commands, registry, hashing, last_use),
            CertificateHandlers(commands, registry, last_use),
            IntegrationHandlers(commands, registry, vault),
            LinkHandlers(commands, registry),
            SubscriptionHandlers(commands, registry, vault),
            RedecodeHandlers(commands, registry),
            MetricHandlers(commands, registry),
            DeviceHandlers(commands, registry),
            AlertRuleHandlers(commands, registry),
            queries,
            Histories(registry),
            AdminKeyHandlers(commands, registry, hashing, settings.admin_key),
            hosted,
        )
        serve_retention(service, RetentionHandlers(commands, registry, settings.retention_max))
        serve_webhooks(service, WebhookHandlers(commands, registry, vault), queries)
        sealed = (
            Place(Bucket(client, SECRETS_BUCKET), context_of_secret),
            Place(Bucket(client, IDEMPOTENCY_BUCKET), context_of_plan),
        )
        rotator = Rotator(keys, sealing, sealed)
        rotation = RotationHandlers(rotator, activity)
        rpc.serve(service.bus.broker, key_rotation.ROTATE_SECRETS, rotation.rotate, queue=NAME)
        rpc.serve(service.bus.broker, key_rotation.GET_ROTATION, rotation.state, queue=NAME)
        defaults = Defaults(settings.organization_limits, settings.credential_limits)
        limiter = Limiter(directory, Census(), defaults)
        serve_limits(service, LimitHandlers(commands, registry, limiter), who)
        directory.listen(Announcer(activity))
        certificates = Certificates(directory)
        directory.listen(certificates)
        service.task(activity.run(), "activity")
        service.task(last_use.run(), "last use")
        service.task(last_use.follow(), "last uses")
        deadlines = Deadlines(registry, log)
        directory.listen(deadlines)
        figures.of_registry(directory)
        following = service.task(directory.follow(), "directory")
        if mosquitto is None:
            await open_hosted(
                service,
                settings,
                directory,
                activity,
                who,
                certificates,
                last_use,
                deadlines,
                following,
                limiter,
            )
        else:
            directory.listen(mosquitto)
            service.health.add("hosted broker", lambda: mosquitto.trouble)
            await caught_up(directory, following, settings.start_patience_s)
            service.task(mosquitto.run(), "mosquitto")
        if settings.http_auth_port:
            answer_brokers(service, settings, directory, activity, who)
        service.task(deadlines.run(), "deadlines")
        service.task(tidy(vault, directory), "janitor")
        service.task(rotator.run(), "key rotation")
        await service.bus.broker.start()
        await service.run()


def follower(directory: Directory, activity: ActivityLog) -> Follower:
    """Mosquitto: it does not ask, so it is kept equal to the registry."""
    settings = load(MosquittoSettings)
    return Follower(
        directory,
        settings.mosquitto_url,
        settings.mosquitto_admin_password,
        compare_s=settings.mosquitto_compare_s,
        restore=settings.mosquitto_restore_file,
        on_log=Presence(directory, activity),
        authority=settings.platform_ca,
    )


def answer_brokers(
    service: Service,
    settings: CredentialsSettings,
    directory: Directory,
    activity: ActivityLog,
    who: Authentication,
) -> None:
    """Brokers of the operator's that ask by HTTP."""
    assert settings.http_auth_token is not None
    refusals = Refusals(activity)
    judge = Judge(who, directory, refusals)
    server = listener(
        HttpAuth(judge, settings.http_auth_token.get_secret_value()),
        settings.http_auth_host,
        settings.http_auth_port,
    )
    service.health.add("http auth", lambda: None if server.started else "not listening")
    service.task(refusals.run(), "http auth refusals")
    service.task(server._serve(), "http auth")  # noqa: SLF001  # `serve` would take the signals


async def open_hosted(
    service: Service,
    settings: CredentialsSettings,
    directory: Directory,
    activity: ActivityLog,
    who: Authentication,
    certificates: Certificates,
    last_use: LastUse,
    deadlines: Deadlines,
    following: asyncio.Task[None],
    limiter: Limiter,
) -> None:
    """Devices of nats-server's MQTT listener: let in, watched, ended; only once the registry is read."""
    system = await connect_client(settings, settings.sys_nats_seed, NAME, service.bus.closed)
    service.on_stop(system.drain)
    gate = Gate(service.bus)
    service.health.add("hosted broker", lambda: None if gate.open else "its source is not attached")
    refusals = Refusals(activity)
    violations = Violations(directory, refusals)
    rpc.serve(service.bus.broker, NOTE_VIOLATIONS, violations.take, queue=NAME)
    if settings.broker_log is not None:
        service.task(violations.read(settings.broker_log), "violations")
    relayed = Relayed(key_bytes(settings.tls_ticket_key) if settings.tls_ticket_key else None)
    signer = Signer(settings.callout_issuer_seed.get_secret_value())
    leavings = await leavings_at(service, settings, directory, last_use)
    connz = Connz(system)
    connections = Connections(connz, directory, leavings.take_over if leavings else None)
    directory.listen(connections)
    deadlines.on_end(connections.look_at)
    await caught_up(directory, following, settings.start_patience_s)
    service.task(gate.watch(), "gate")
    service.task(refusals.run(), "refusals")
    service.task(connections.run(), "connections")
    await Sessions(system, directory, activity).serve()
    figures.of_connections(limiter.census, by_organization=settings.metrics_by_organization)
    watch = Watch(system, connz, directory, limiter.census, settings.connections_look_s)
    enforcer = Enforcer(directory, connz, limiter, activity, settings.limit_hold_s)
    watch.after_look(enforcer.after_look)
    await watch.serve()
    service.task(watch.run(), "watch")
    live = Live(connz, limiter.census, watch, directory, activity)
    rpc.serve(service.bus.broker, connections_calls.LIST_CONNECTIONS, live.list, queue=NAME)
    rpc.serve(service.bus.broker, connections_calls.LIST_ALL_CONNECTIONS, live.everything, queue=NAME)
    rpc.serve(service.bus.broker, connections_calls.DISCONNECT_CREDENTIAL, live.disconnect, queue=NAME)
    admission = Admission(limiter, Throttle())
    await Callout(
        service.bus.client, who, gate, signer, refusals, connections, certificates, relayed, admission
    ).serve()


async def leavings_at(
    service: Service, settings: CredentialsSettings, directory: Directory, last_use: LastUse
) -> Leavings | None:
    """What a revoked credential leaves behind, taken away; None where we may not."""
    if settings.devices_nats_seed is None or settings.hosted_mqtt_password is None:
        return None
    devices = await connect_client(settings, settings.devices_nats_seed, NAME, service.bus.closed)
    service.on_stop(devices.drain)
    listener = Listener(
        settings.hosted_mqtt_url,
        settings.hosted_mqtt_username,
        settings.hosted_mqtt_password.get_secret_value(),
        settings.platform_ca,
    )
    leavings = Leavings(directory, last_use, Takeover(listener), Retained(devices))
    directory.listen(leavings)
    service.task(leavings.run(), "leavings")
    return leavings


async def caught_up(directory: Directory, following: asyncio.Task[None], patience_s: float) -> None:
    """Nobody is answered from half a registry; what ends the reading ends the start."""
    started_up = asyncio.create_task(directory.started(timeout_s=patience_s))
    await asyncio.wait((started_up, following), return_when=asyncio.FIRST_COMPLETED)
    if following.done():
        started_up.cancel()
        following.result()
    await started_up
    # What was read stays. Looked through again and again, 20,000 credentials hold up every connect for 50 ms.
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main(run)
