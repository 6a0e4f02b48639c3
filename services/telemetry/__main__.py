"""Telemetry: the logs into PostgreSQL, and the queries over what stands there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from contracts import dead_letter_calls, rebuild, redecode, series
from contracts import telemetry as queries
from contracts.activity import ActivityRecorded
from contracts.connections import GET_CONNECTION_STATISTICS
from contracts.decoder_previews import CHECK_DECODER, PREVIEW_DECODER
from contracts.device_commands import GET_DEVICE_COMMAND, LIST_DEVICE_COMMANDS
from contracts.devices import GET_ERASURE, LIST_ERASURES
from contracts.exports import EXPORT_ACTIVITY, EXPORT_READINGS
from contracts.organizations import PLATFORM
from contracts.redecode import EndRedecode, OrderRetry, RedecodeOrder
from contracts.retention import GET_RETENTION, GET_STORAGE, GetRetention, Retention, RetentionView
from contracts.stats import GET_STATS
from contracts.streams import COMMANDS
from runtime import activity, rpc
from runtime.activity import ActivityLog
from runtime.collector import collect_seldom
from runtime.event_log import EventLog
from runtime.log_writer import LogWriter
from runtime.service import main, started
from runtime.settings import load
from services.telemetry import database
from services.telemetry.activity import ActivityProjection
from services.telemetry.alerting.projection import AlertsProjection
from services.telemetry.alerting.projection import erase as erase_alerts
from services.telemetry.alerting.setup import Alerting
from services.telemetry.by_organization import ByOrganization
from services.telemetry.commands import CommandsProjection, forget_old
from services.telemetry.dead_letter_calls import DeadLetterCalls
from services.telemetry.dead_letter_notes import DeadLetterNotes
from services.telemetry.dead_letter_projection import DeadLettersProjection
from services.telemetry.dead_letter_retry import DeadLetterRetry
from services.telemetry.dead_letters import DeadLetters
from services.telemetry.device_settings import DeviceSettingsProjection
from services.telemetry.device_sources import DeviceSources
from services.telemetry.directory import Directory
from services.telemetry.eraser import Eraser
from services.telemetry.erasure_calls import ErasureCalls
from services.telemetry.messages import MessagesProjection
from services.telemetry.observing import Observing
from services.telemetry.partitions import Partitions, housekeep
from services.telemetry.preview import Previews
from services.telemetry.projector import Projection, Projector
from services.telemetry.queries import Queries
from services.telemetry.queries.exports import Exports
from services.telemetry.queries.retention import get_retention
from services.telemetry.queries.stats import StatsCalls
from services.telemetry.queries.storage import Storage
from services.telemetry.rebuild import Rebuilder
from services.telemetry.rebuild_calls import RebuildCalls
from services.telemetry.reconcile import reconcile, reconcile_once
from services.telemetry.redecode import Redecoder
from services.telemetry.redecode_calls import RedecodeCalls
from services.telemetry.redecode_job import Outcomes
from services.telemetry.redecode_preview import Preview
from services.telemetry.rereading import NoDeadLetters
from services.telemetry.retention import RetentionKeeper
from services.telemetry.rollups.keeper import RollupKeeper
from services.telemetry.rollups.marks import Marks
from services.telemetry.sandbox.pool import Pool
from services.telemetry.settings import Settings
from services.telemetry.shadow import ShadowDictionaries
from services.telemetry.states import forget_old as forget_states
from services.telemetry.stats.of_activity import ActivityCounts
from services.telemetry.stats.of_messages import MessageCounts

NAME = "telemetry"
FOR_EVER = 36_500  # days: so long the registry is kept


async def run() -> None:
    settings = load(Settings)
    collect_seldom()
    async with started(NAME, settings) as service:
        bus = service.bus
        pool = await database.connect(settings.database_url.get_secret_value())
        service.on_stop(pool.close)

        async def happened(kind: str, summary: str, details: dict[str, Any]) -> None:
            event = ActivityRecorded(kind=kind, status="failed", summary=summary, details=details)
            id = "-".join([kind, details["projection"], str(details["epoch"]), str(details["sequence"])])
            await activity.record(bus, PLATFORM, event, NAME, id=id)

        notes = ActivityLog(bus)
        service.task(notes.run(), "activity notes")
        expressions = Pool(
            settings.expression_workers, lambda organization, event: notes.note(organization, event, NAME)
        )
        service.on_stop(expressions.close)
        directory = Directory(bus.client, expressions)
        partitions, writer = Partitions(), LogWriter(bus.client)
        service.task(directory.run(), "registry")
        service.task(writer.run(), "dead letters")
        alerting = Alerting(bus, pool, directory)
        messages = Projector(
            bus.client,
            pool,
            MessagesProjection(
                directory,
                DeadLetters(writer),
                partitions,
                followers=(
                    DeviceSources(),
                    Marks(),
                    MessageCounts(),
                    alerting.messages,
                    *([ByOrganization()] if settings.metrics_by_organization else []),
                ),
            ),
            happened,
            batch_messages_max=settings.batch_messages_max,
            batch_bytes_max=settings.batch_bytes_max,
            linger_messages=settings.linger_messages,
            linger_s=settings.linger_s,
            days_kept=settings.messages_days,
        )
        events = Projector(
            bus.client,
            pool,
            ActivityProjection(
                Partitions(), directory, followers=(ActivityCounts(directory.erased), alerting.activity)
            ),
            happened,
            days_kept=settings.activity_days,
        )
        commands = Projector(
            bus.client, pool, CommandsProjection(directory), happened, days_kept=settings.commands_days
        )
        described = Projector(bus.client, pool, DeviceSettingsProjection(), happened, days_kept=FOR_EVER)
        service.task(described.run(), "devices")
        eraser = Eraser(bus.client, pool, (erase_alerts,))
        directory.on_erasure = eraser.wake.set
        service.task(eraser.run(), "eraser")
        service.health.add("devices", lambda: described.trouble)
        service.task(commands.run(), "commands")
        service.health.add("commands", lambda: commands.trouble)
        service.task(forget_old(pool, settings.commands_days, settings.housekeeping_s), "old commands")
        alerting.messages.reads(messages)
        alerting.activity.reads(events)
        alerts = alerting.run(service, settings, happened)
        service.task(Observing(bus.client, pool).run(), "observing")
        service.task(messages.run(), "messages")
        service.task(events.run(), "activity")
        told = DeadLetterNotes(notes)
        service.task(told.run(), "dead letters noted")
        letters = Projector(
            bus.client,
            pool,
            DeadLettersProjection(Partitions(), directory, told=told.note),
            happened,
            days_kept=settings.dead_letters_days,
        )
        service.task(letters.run(), "dead letters read")
        service.health.add("dead letters", lambda: letters.trouble)
        service.health.add("messages", lambda: messages.trouble)
        service.health.add("activity", lambda: events.trouble)
        keeper = RollupKeeper(
            pool, messages, grace_s=settings.rollup_grace_s, settle_s=settings.rollup_settle_s
        )
        service.task(keeper.run(), "roll-ups")
        default = Retention(
            raw_days=settings.samples_days,
            minutes_days=settings.minutes_days,
            hours_days=settings.hours_days,
        )
        retention = RetentionKeeper(pool, directory, default, settings.housekeeping_s)
        service.task(retention.run(), "retention")
        days_kept = {
            "messages": settings.messages_days,
            "activity": settings.activity_days,
            "dead_letters": settings.dead_letters_days,
            "message_minutes": settings.stats_minutes_days,
            "activity_minutes": settings.stats_minutes_days,
            "message_hours": settings.stats_hours_days,
            "activity_hours": settings.stats_hours_days,
        }
        service.task(forget_states(pool, settings.messages_days, settings.housekeeping_s), "old states")
        service.task(housekeep(pool, Partitions(), days_kept, settings.housekeeping_s), "housekeeping")

        live: dict[str, Projector[Any]] = {
            "messages": messages,
            "activity": events,
            "commands": commands,
            "dead-letters": letters,
            "alerts": alerts,
        }
        counted = settings.hosted_broker == "nats"

        def anew() -> dict[str, Projection[Any]]:
            numbers = ShadowDictionaries()
            return {
                "messages": MessagesProjection(
                    directory,
                    NoDeadLetters(),
                    Partitions(),
                    numbers,
                    again=True,
                    followers=(DeviceSources(), MessageCounts()),
                ),
                "activity": ActivityProjection(
                    Partitions(),
                    directory,
                    ShadowDictionaries(),
                    followers=(ActivityCounts(directory.erased),),
                ),
                "commands": CommandsProjection(directory),
                "dead-letters": DeadLettersProjection(Partitions(), directory),
                "alerts": AlertsProjection(directory),
            }

        rebuilder = Rebuilder(
            bus.client,
            settings.database_url.get_secret_value(),
            anew,
            live,
            (lambda shadow: reconcile_once(bus, shadow)) if counted else None,
        )
        service.task(rebuilder.run(), "rebuild")
        rebuilds = RebuildCalls(bus.client, pool, rebuilder, {**live, "devices": described})
        rpc.serve(bus.broker, rebuild.START_REBUILD, rebuilds.start, queue=NAME)
        rpc.serve(bus.broker, rebuild.GET_REBUILD, rebuilds.get, queue=NAME)
        rpc.serve(bus.broker, rebuild.CANCEL_REBUILD, rebuilds.cancel, queue=NAME)
        rpc.serve(bus.broker, rebuild.GET_LOGS, rebuilds.logs, queue=NAME)

        async def ended(request: EndRedecode) -> None:
            await rpc.call(bus, redecode.END_REDECODE, request)

        again = MessagesProjection(directory, NoDeadLetters(), Partitions(), again=True)
        redecoder = Redecoder(bus.client, pool, directory, again, Outcomes(writer), messages, ended)
        service.task(redecoder.run(), "redecode")

        if counted:
            service.task(reconcile(bus, pool, settings.reconcile_s), "reconcile")

        answers = Queries.connect(
            settings.database_query_url.get_secret_value(),
            settings.query_pool_size,
            settings.query_timeout_s,
            EventLog(bus.client, COMMANDS.name),
            directory.described,
        )
        service.on_stop(answers.close)
        files = Exports.connect(
            settings.database_query_url.get_secret_value(),
            settings.export_pool_size,
            settings.export_timeout_s,
            directory.described,
        )
        service.on_stop(files.close)
        rpc.serve_bulk(bus.broker, EXPORT_READINGS, files.readings, queue=NAME)
        rpc.serve_bulk(bus.broker, EXPORT_ACTIVITY, files.activity, queue=NAME)
        said = ActivityLog(bus)
        service.task(said.run(), "what is said")
        alerting.serve(answers, said)
        dead = DeadLetterCalls(answers.store, writer, said)

        async def order(request: OrderRetry) -> RedecodeOrder:
            return await rpc.call(bus, redecode.ORDER_RETRY, request)

        retrying = DeadLetterRetry(bus.client, answers.store, dead, directory, order, said)
        rpc.serve(bus.broker, dead_letter_calls.RETRY_DEAD_LETTERS, retrying.retry, queue=NAME)
        # Workers, allowance and quarantine of their own: who tries out a rule takes nothing from those in use.
        tried = Pool(1, lambda *_: None)
        service.on_stop(tried.close)
        rpc.serve(bus.broker, PREVIEW_DECODER, Previews(tried).preview, queue=NAME)
        rpc.serve(bus.broker, CHECK_DECODER, Previews(tried).check, queue=NAME)
        erasures = ErasureCalls(answers.store)
        rpc.serve(bus.broker, LIST_ERASURES, erasures.list_erasures, queue=NAME)
        rpc.serve(bus.broker, GET_ERASURE, erasures.get, queue=NAME)
        jobs = RedecodeCalls(answers.store, pool, redecoder)
        preview = Preview(bus.client, pool, directory)
        rpc.serve(bus.broker, redecode.PREVIEW_REDECODE, preview.preview, queue=NAME)
        rpc.serve(bus.broker, redecode.LIST_REDECODES, jobs.list_redecodes, queue=NAME)
        rpc.serve(bus.broker, redecode.GET_REDECODE, jobs.get, queue=NAME)
        rpc.serve(bus.broker, redecode.PAUSE_REDECODE, jobs.pause, queue=NAME)
        rpc.serve(bus.broker, redecode.RESUME_REDECODE, jobs.resume, queue=NAME)
        rpc.serve(bus.broker, redecode.CANCEL_REDECODE, jobs.cancel, queue=NAME)
        rpc.serve(bus.broker, queries.LIST_TELEMETRY, answers.list_telemetry, queue=NAME)

        async def kept(query: GetRetention) -> RetentionView:
            return await get_retention(
                answers.store, query, directory.retentions.get(query.organization), default
            )

        rpc.serve(bus.broker, GET_RETENTION, kept, queue=NAME)
        rpc.serve(bus.broker, GET_STORAGE, Storage(pool).get, queue=NAME)
        rpc.serve(bus.broker, series.GET_SERIES, answers.get_series, queue=NAME)
        counters = StatsCalls(answers.store, timedelta(days=settings.stats_minutes_days))
        rpc.serve(bus.broker, GET_STATS, counters.get, queue=NAME)
        rpc.serve(bus.broker, series.LIST_LATEST, answers.list_latest, queue=NAME)
        rpc.serve(bus.broker, queries.LIST_MESSAGES, answers.list_messages, queue=NAME)
        rpc.serve(bus.broker, queries.LIST_METRICS, answers.list_metrics, queue=NAME)
        rpc.serve(bus.broker, queries.LIST_DEVICES, answers.list_devices, queue=NAME)
        rpc.serve(bus.broker, queries.GET_DEVICE, answers.get_device, queue=NAME)
        rpc.serve(bus.broker, queries.LIST_ACTIVITY, answers.list_activity, queue=NAME)
        rpc.serve(bus.broker, queries.GET_ACTIVITY, answers.get_activity, queue=NAME)
        rpc.serve(bus.broker, dead_letter_calls.LIST_DEAD_LETTERS, answers.list_dead_letters, queue=NAME)
        rpc.serve(bus.broker, dead_letter_calls.GET_DEAD_LETTER, answers.get_dead_letter, queue=NAME)
        rpc.serve(bus.broker, dead_letter_calls.COUNT_DEAD_LETTERS, answers.count_dead_letters, queue=NAME)
        rpc.serve(bus.broker, dead_letter_calls.DISCARD_DEAD_LETTERS, dead.discard, queue=NAME)
        rpc.serve(bus.broker, GET_CONNECTION_STATISTICS, answers.connection_statistics, queue=NAME)
        rpc.serve(bus.broker, LIST_DEVICE_COMMANDS, answers.list_commands, queue=NAME)
        rpc.serve(bus.broker, GET_DEVICE_COMMAND, answers.get_command, queue=NAME)
        await bus.broker.start()
        await service.run()


if __name__ == "__main__":
    main(run)
