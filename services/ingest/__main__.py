"""The ingest service: every MQTT connection that the platform opens, and QoS 0 of the hosted broker."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from contracts.connection_test import TEST_CONNECTION
from contracts.links import GET_STATUS
from contracts.publishing import (
    PUBLISH,
    PUBLISH_BATCH,
    PUBLISH_BATCH_TO_LINK,
    PUBLISH_TO_LINK,
)
from contracts.streams import MESSAGES
from contracts.webhook_deliveries import (
    CHECK_WEBHOOK_URL,
    GET_WEBHOOK_STATE,
    LIST_DELIVERIES,
    RETRY_DELIVERIES,
    TEST_WEBHOOK,
)
from runtime import rpc
from runtime.activity import ActivityLog
from runtime.bus import connect_client
from runtime.collector import collect_seldom
from runtime.log_writer import LogWriter
from runtime.service import Service, main, started
from runtime.settings import load
from services.ingest.commands import Commands
from services.ingest.connection_tests import ConnectionTests
from services.ingest.drops import Drops
from services.ingest.hosted import HostedQos0
from services.ingest.hosted_mosquitto import HOSTED_LINK, hosted_link
from services.ingest.keeper import Keeper
from services.ingest.manager import Manager
from services.ingest.network import Network
from services.ingest.ownership import Ownership
from services.ingest.publish import Publisher
from services.ingest.publish_hosted import HostedConnection
from services.ingest.publish_notes import PublishNotes
from services.ingest.replicas import Replicas
from services.ingest.routing import Routing
from services.ingest.settings import Settings
from services.ingest.webhooks.answers import WebhookAnswers
from services.ingest.webhooks.http import Client
from services.ingest.webhooks.parts import Parts, Rules
from services.ingest.webhooks.schedule import parsed
from services.ingest.webhooks.wanted import Wanted, evolve
from services.ingest.webhooks.worker import Worker

NAME = "ingest"


async def run() -> None:
    settings = load(Settings)
    collect_seldom()
    async with started(NAME, settings) as service:
        client = service.bus.client
        activity = ActivityLog(service.bus)
        service.task(activity.run(), "activity")
        drops = Drops(activity)
        service.task(drops.run(), "drops")

        replicas = Replicas(client)
        ownership = Ownership(client, replicas)

        hosted_writer = LogWriter(client, queue_messages_max=settings.qos0_waiting_max, stream=MESSAGES.name)
        service.task(hosted_writer.run(), "hosted writer")
        if settings.hosted_broker == "nats":
            await open_devices(service, settings, HostedQos0(hosted_writer, drops))
        else:
            link = hosted_link(service.bus, settings, hosted_writer, activity, drops)
            ownership.add(HOSTED_LINK, link.run)

        # Names are resolved in threads: a slow name server must not hold up all links.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(32, thread_name_prefix="resolver"))
        network = Network(settings.policy)
        writer = LogWriter(client, stream=MESSAGES.name)
        service.task(writer.run(), "link writer")
        service.task(replicas.run(), "replicas")
        service.task(ownership.run(), "ownership")
        routing = Routing(client)
        manager = Manager(
            service.bus,
            writer,
            activity,
            drops,
            ownership,
            routing,
            inflight_max=settings.link_inflight_max,
            network=network,
        )
        routing.serve(GET_STATUS, manager.status)
        service.task(manager.run(), "links")
        service.health.add("registry", lambda: None if manager.ready else "the registry is being read")

        hosted = HostedConnection(
            settings.hosted_mqtt_url,
            settings.hosted_mqtt_username,
            settings.hosted_mqtt_password.get_secret_value(),
            settings.platform_ca,
        )
        service.task(hosted.run(), "hosted connection")
        commands = Commands(client, manager, hosted, activity, os.urandom(12).hex().encode())
        service.task(commands.run(), "commands")
        service.health.add("commands", lambda: None if commands.ready else "commands are being read")

        tests = ConnectionTests(service.bus, manager, network, activity)
        rpc.serve_with_steps(service.bus.broker, TEST_CONNECTION, tests.test, queue=NAME)
        notes = PublishNotes(activity)
        service.task(notes.run(), "publishes noted")
        publisher = Publisher(manager, hosted, notes)
        rpc.serve(service.bus.broker, PUBLISH, publisher.publish, queue=NAME)
        rpc.serve(service.bus.broker, PUBLISH_BATCH, publisher.publish_batch, queue=NAME)
        routing.serve(PUBLISH_TO_LINK, publisher.publish)
        routing.serve(PUBLISH_BATCH_TO_LINK, publisher.publish_batch)
        serve_webhooks(service, settings, network, activity, ownership, routing)
        await service.bus.broker.start()
        await service.run()


def serve_webhooks(
    service: Service,
    settings: Settings,
    network: Network,
    activity: ActivityLog,
    ownership: Ownership,
    routing: Routing,
) -> None:
    """Calls to tenants' own addresses, each webhook by the one replica that owns it."""
    rules = Rules(
        parsed(settings.webhook_schedule),
        settings.webhook_pause_after_s,
        settings.webhook_probe_s,
        settings.webhook_calls_per_s,
    )
    client = Client(network, settings.webhook_timeout_s, settings.webhook_ca_file)
    parts = Parts(service.bus, client, activity, rules)
    webhooks = Keeper[Wanted, Worker](
        service.bus.client, ownership, routing, kind="webhook", evolve=evolve, make=partial(Worker, parts)
    )
    service.task(webhooks.run(), "webhooks")
    service.health.add("webhooks", lambda: None if webhooks.ready else "the registry is being read")
    answers = WebhookAnswers(parts, webhooks)
    broker = service.bus.broker
    rpc.serve(broker, CHECK_WEBHOOK_URL, answers.check, queue=NAME)
    rpc.serve(broker, GET_WEBHOOK_STATE, answers.state, queue=NAME)
    rpc.serve(broker, LIST_DELIVERIES, answers.deliveries, queue=NAME)
    rpc.serve(broker, TEST_WEBHOOK, answers.test, queue=NAME)
    routing.serve(RETRY_DELIVERIES, answers.retry)


async def open_devices(service: Service, settings: Settings, qos0: HostedQos0) -> None:
    """Hears what devices publish through nats-server's listener."""
    devices = await connect_client(settings, settings.devices_nats_seed, NAME, service.bus.closed)
    service.on_stop(devices.close)
    service.health.add(
        "devices", lambda: None if devices.is_connected else "not connected to the device account"
    )
    await qos0.start(devices)


if __name__ == "__main__":
    main(run)
