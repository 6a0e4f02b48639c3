"""Telemetry: the logs into PostgreSQL, and the queries over what stands there."""

from __future__ import annotations

from functools import partial
from typing import Any

from contracts import redecode
from contracts.activity import ActivityRecorded
from contracts.organizations import PLATFORM
from contracts.redecode import EndRedecode
from runtime import activity, rpc
from runtime.activity import ActivityLog
from runtime.collector import collect_seldom
from runtime.log_writer import LogWriter
from runtime.service import main, started
from runtime.settings import load
from services.telemetry import database
from services.telemetry.alerting.projection import ALERTS_READ
from services.telemetry.alerting.projection import erase as erase_alerts
from services.telemetry.alerting.setup import Alerting
from services.telemetry.commands import COMMANDS_READ
from services.telemetry.directory import Directory
from services.telemetry.entities import forget_old
from services.telemetry.eraser import Eraser
from services.telemetry.following import Followed, anew, follow
from services.telemetry.messages import MessagesProjection
from services.telemetry.observing import Observing
from services.telemetry.partitions import Partitions, housekeep
from services.telemetry.parts import NAME, Parts
from services.telemetry.presence_runs import count_presence
from services.telemetry.rebuild import Rebuilder
from services.telemetry.reconcile import reconcile, reconcile_once
from services.telemetry.redecode import Redecoder
from services.telemetry.redecode_job import Outcomes
from services.telemetry.rereading import NoDeadLetters
from services.telemetry.retention import RetentionKeeper
from services.telemetry.rollups.keeper import RollupKeeper
from services.telemetry.sandbox.pool import Pool
from services.telemetry.serving import serve
from services.telemetry.settings import Settings
from services.telemetry.states import forget_old as forget_states


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

        notes, letters = ActivityLog(bus), LogWriter(bus.client)
        service.task(notes.run(), "activity notes")
        expressions = Pool(
            settings.expression_workers, lambda organization, event: notes.note(organization, event, NAME)
        )
        service.on_stop(expressions.close)
        directory = Directory(bus.client, expressions)
        service.task(directory.run(), "registry")
        service.task(letters.run(), "dead letters")
        alerting = Alerting(bus, pool, directory)
        parts = Parts(service, settings, pool, directory, alerting, notes, letters, happened)
        followed = follow(parts)
        alerting.run(service)
        service.task(Observing(bus.client, pool).run(), "observing")
        keep(parts, followed)
        rebuilder = rebuilding(parts, followed)
        redecoder = redecoding(parts, followed)
        serve(parts, followed, rebuilder, redecoder)
        await bus.broker.start()
        await service.run()


def keep(parts: Parts, followed: Followed) -> None:
    """What is made of rows beside the projections, and what goes when its time is over."""
    settings, pool, task = parts.settings, parts.pool, parts.service.task
    every_s = settings.housekeeping_s
    rollups = RollupKeeper(
        pool, followed.messages, grace_s=settings.rollup_grace_s, settle_s=settings.rollup_settle_s
    )
    task(rollups.run(), "roll-ups")
    eraser = Eraser(parts.bus.client, pool, (erase_alerts,))
    parts.directory.on_erasure = eraser.wake.set
    task(eraser.run(), "eraser")
    task(RetentionKeeper(pool, parts.directory, parts.retention, every_s).run(), "retention")
    days_kept = {
        "messages": settings.messages_days,
        "activity": settings.activity_days,
        "dead_letters": settings.dead_letters_days,
        "message_minutes": settings.stats_minutes_days,
        "activity_minutes": settings.stats_minutes_days,
        "message_hours": settings.stats_hours_days,
        "activity_hours": settings.stats_hours_days,
    }
    task(housekeep(pool, Partitions(), days_kept, every_s), "housekeeping")
    task(forget_states(pool, settings.messages_days, every_s), "old states")
    task(forget_old(pool, COMMANDS_READ, settings.commands_days, every_s), "old commands")
    task(forget_old(pool, ALERTS_READ, settings.alerts_days, every_s), "old alerts")
    task(count_presence(pool, settings.stats_minutes_days), "counting presence")
    if parts.counts_connections:
        task(reconcile(parts.bus, pool, settings.reconcile_s), "reconcile")


def rebuilding(parts: Parts, followed: Followed) -> Rebuilder:
    rebuilder = Rebuilder(
        parts.bus.client,
        parts.settings.database_url.get_secret_value(),
        partial(anew, parts.directory),
        followed.rebuilt,
        partial(reconcile_once, parts.bus) if parts.counts_connections else None,
    )
    parts.service.task(rebuilder.run(), "rebuild")
    return rebuilder


def redecoding(parts: Parts, followed: Followed) -> Redecoder:
    client = parts.bus.client

    async def ended(request: EndRedecode) -> None:
        await rpc.call(parts.bus, redecode.END_REDECODE, request)

    again = MessagesProjection(parts.directory, NoDeadLetters(), Partitions(), again=True)
    outcomes = Outcomes(parts.letters)
    redecoder = Redecoder(client, parts.pool, parts.directory, again, outcomes, followed.messages, ended)
    parts.service.task(redecoder.run(), "redecode")
    return redecoder


if __name__ == "__main__":
    main(run)
