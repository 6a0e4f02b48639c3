"""What telemetry answers: queries over the read models, and orders of what is made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from contracts import dead_letter_calls, rebuild, redecode, series
from contracts import telemetry as queries
from contracts.connections import GET_CONNECTION_STATISTICS
from contracts.decoder_previews import CHECK_DECODER, PREVIEW_DECODER
from contracts.device_commands import GET_DEVICE_COMMAND, LIST_DEVICE_COMMANDS
from contracts.devices import GET_ERASURE, LIST_ERASURES
from contracts.exports import EXPORT_ACTIVITY, EXPORT_READINGS
from contracts.presence import GET_PRESENCE
from contracts.redecode import OrderRetry, RedecodeOrder
from contracts.retention import GET_RETENTION, GET_STORAGE, GetRetention, RetentionView
from contracts.stats import GET_STATS
from contracts.streams import COMMANDS
from runtime import rpc
from runtime.event_log import EventLog
from services.telemetry.dead_letter_calls import DeadLetterCalls
from services.telemetry.dead_letter_retry import DeadLetterRetry
from services.telemetry.erasure_calls import ErasureCalls
from services.telemetry.following import Followed
from services.telemetry.parts import NAME, Parts
from services.telemetry.preview import Previews
from services.telemetry.queries import Queries
from services.telemetry.queries.deletion import deletion
from services.telemetry.queries.exports import Exports
from services.telemetry.queries.retention import get_retention
from services.telemetry.queries.stats import StatsCalls
from services.telemetry.queries.storage import Storage
from services.telemetry.rebuild import Rebuilder
from services.telemetry.rebuild_calls import RebuildCalls
from services.telemetry.redecode import Redecoder
from services.telemetry.redecode_calls import RedecodeCalls
from services.telemetry.redecode_preview import Preview
from services.telemetry.sandbox.pool import Pool


def serve(parts: Parts, followed: Followed, rebuilder: Rebuilder, redecoder: Redecoder) -> None:
    """Heard from `broker.start()` on."""
    answers = Queries.connect(
        parts.settings.database_query_url.get_secret_value(),
        parts.settings.query_pool_size,
        parts.settings.query_timeout_s,
        EventLog(parts.bus.client, COMMANDS.name),
        parts.directory.described,
    )
    parts.service.on_stop(answers.close)
    parts.alerting.serve(answers, parts.notes)
    serve_queries(parts, answers)
    serve_kept(parts, answers)
    serve_exports(parts)
    serve_decoding(parts, answers, redecoder)
    serve_rebuild(parts, rebuilder, followed)


def serve_queries(parts: Parts, answers: Queries) -> None:
    broker = parts.bus.broker
    rpc.serve(broker, queries.LIST_TELEMETRY, answers.list_telemetry, queue=NAME)
    rpc.serve(broker, series.GET_SERIES, answers.get_series, queue=NAME)
    rpc.serve(broker, series.LIST_LATEST, answers.list_latest, queue=NAME)
    rpc.serve(broker, queries.LIST_MESSAGES, answers.list_messages, queue=NAME)
    rpc.serve(broker, queries.LIST_METRICS, answers.list_metrics, queue=NAME)
    rpc.serve(broker, queries.LIST_DEVICES, answers.list_devices, queue=NAME)
    rpc.serve(broker, GET_PRESENCE, answers.get_presence, queue=NAME)
    rpc.serve(broker, queries.GET_DEVICE, answers.get_device, queue=NAME)
    rpc.serve(broker, queries.LIST_ACTIVITY, answers.list_activity, queue=NAME)
    rpc.serve(broker, queries.GET_ACTIVITY, answers.get_activity, queue=NAME)
    rpc.serve(broker, GET_CONNECTION_STATISTICS, answers.connection_statistics, queue=NAME)
    rpc.serve(broker, LIST_DEVICE_COMMANDS, answers.list_commands, queue=NAME)
    rpc.serve(broker, GET_DEVICE_COMMAND, answers.get_command, queue=NAME)
    counters = StatsCalls(answers.store, timedelta(days=parts.settings.stats_minutes_days))
    rpc.serve(broker, GET_STATS, counters.get, queue=NAME)


def serve_kept(parts: Parts, answers: Queries) -> None:
    """How long what is kept, how much it takes, what was erased."""
    broker, directory, default = parts.bus.broker, parts.directory, parts.retention

    async def kept(query: GetRetention) -> RetentionView:
        chosen = directory.retentions.get(query.organization)
        gone = await deletion(parts.pool, query.organization, chosen or default, datetime.now(UTC))
        return await get_retention(answers.store, query, chosen, default, gone)

    erasures = ErasureCalls(answers.store)
    rpc.serve(broker, GET_RETENTION, kept, queue=NAME)
    rpc.serve(broker, GET_STORAGE, Storage(parts.pool).get, queue=NAME)
    rpc.serve(broker, LIST_ERASURES, erasures.list_erasures, queue=NAME)
    rpc.serve(broker, GET_ERASURE, erasures.get, queue=NAME)


def serve_exports(parts: Parts) -> None:
    files = Exports.connect(
        parts.settings.database_query_url.get_secret_value(),
        parts.settings.export_pool_size,
        parts.settings.export_timeout_s,
        parts.directory.described,
    )
    parts.service.on_stop(files.close)
    rpc.serve_bulk(parts.bus.broker, EXPORT_READINGS, files.readings, queue=NAME)
    rpc.serve_bulk(parts.bus.broker, EXPORT_ACTIVITY, files.activity, queue=NAME)


def serve_decoding(parts: Parts, answers: Queries, redecoder: Redecoder) -> None:
    """Decoders tried out, what they could not read, history read by another one."""
    bus, client, notes = parts.bus, parts.bus.client, parts.notes
    # Workers, allowance and quarantine of their own: who tries out a rule takes nothing from those in use.
    tried = Pool(1, lambda *_: None)
    parts.service.on_stop(tried.close)
    rpc.serve(bus.broker, PREVIEW_DECODER, Previews(tried).preview, queue=NAME)
    rpc.serve(bus.broker, CHECK_DECODER, Previews(tried).check, queue=NAME)

    async def order(request: OrderRetry) -> RedecodeOrder:
        return await rpc.call(bus, redecode.ORDER_RETRY, request)

    dead = DeadLetterCalls(answers.store, parts.letters, notes)
    retrying = DeadLetterRetry(client, answers.store, dead, parts.directory, order, notes)
    rpc.serve(bus.broker, dead_letter_calls.LIST_DEAD_LETTERS, answers.list_dead_letters, queue=NAME)
    rpc.serve(bus.broker, dead_letter_calls.GET_DEAD_LETTER, answers.get_dead_letter, queue=NAME)
    rpc.serve(bus.broker, dead_letter_calls.COUNT_DEAD_LETTERS, answers.count_dead_letters, queue=NAME)
    rpc.serve(bus.broker, dead_letter_calls.DISCARD_DEAD_LETTERS, dead.discard, queue=NAME)
    rpc.serve(bus.broker, dead_letter_calls.RETRY_DEAD_LETTERS, retrying.retry, queue=NAME)

    jobs = RedecodeCalls(answers.store, parts.pool, redecoder)
    preview = Preview(client, parts.pool, parts.directory)
    rpc.serve(bus.broker, redecode.PREVIEW_REDECODE, preview.preview, queue=NAME)
    rpc.serve(bus.broker, redecode.LIST_REDECODES, jobs.list_redecodes, queue=NAME)
    rpc.serve(bus.broker, redecode.GET_REDECODE, jobs.get, queue=NAME)
    rpc.serve(bus.broker, redecode.PAUSE_REDECODE, jobs.pause, queue=NAME)
    rpc.serve(bus.broker, redecode.RESUME_REDECODE, jobs.resume, queue=NAME)
    rpc.serve(bus.broker, redecode.CANCEL_REDECODE, jobs.cancel, queue=NAME)


def serve_rebuild(parts: Parts, rebuilder: Rebuilder, followed: Followed) -> None:
    shown = {**followed.rebuilt, "devices": followed.devices}
    rebuilds = RebuildCalls(parts.bus.client, parts.pool, rebuilder, shown)
    rpc.serve(parts.bus.broker, rebuild.START_REBUILD, rebuilds.start, queue=NAME)
    rpc.serve(parts.bus.broker, rebuild.GET_REBUILD, rebuilds.get, queue=NAME)
    rpc.serve(parts.bus.broker, rebuild.CANCEL_REBUILD, rebuilds.cancel, queue=NAME)
    rpc.serve(parts.bus.broker, rebuild.GET_LOGS, rebuilds.logs, queue=NAME)
