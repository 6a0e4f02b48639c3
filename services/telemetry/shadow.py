"""Shadow tables: the read models once more, in a schema of their own, written by the same projections.

Connections to them see nothing but that schema, so that a statement of a projection which names another table
fails instead of changing what serves. Numbers of organizations, devices and metrics are one for all.
"""

from __future__ import annotations

import asyncpg

from services.telemetry.checkpoints import Session
from services.telemetry.database import plain_url
from services.telemetry.dictionaries import Dictionaries

# What a rebuild makes anew, and exchanges: tables by projection, each with the time of what it comes from. A new
# table is either here or in KEPT: a test holds it to that.
TABLES: dict[str, dict[str, str]] = {
    "messages": {"samples": "time", "messages": "received_at", "presence": "at"},
    "activity": {"activity": "time", "connections": "connected_at"},
    "commands": {"device_commands": "queued_at"},
    "dead-letters": {"dead_letters": "received_at"},
    "alerts": {"alerts": "opened_at"},
}
# Rows that stay as they were written, with the sequence of their message.
PARTITIONED = {"samples": "time", "messages": "received_at", "activity": "time"}
# Sums, by projection: made anew only where its log goes back to its beginning.
SUMS = {
    "credential_statistics": "activity",
    "credential_refusals": "activity",
    "message_minutes": "messages",
    "message_hours": "messages",
    "activity_minutes": "activity",
    "activity_hours": "activity",
}
MODELS = (*(table for tables in TABLES.values() for table in tables), "device_metrics", *SUMS)
# Numbers, which rows refer to; how far was read; jobs; what decoders learnt. `devices` stays, and its counters are
# set from the shadow's.
KEPT = (
    "organizations",
    "metrics",
    "devices",
    "epochs",
    "checkpoints",
    "decoders",
    "decoder_states",  # as of each message: a rebuild finds what the log holds no longer, and writes the same again
    "decoder_counters",
    "device_words",  # of devices, which stay
    "device_tags",
    "presence_runs",  # counted at its time: no log says it again
    "device_sources",  # learnt, by a rebuild the same again
    "metric_uses",  # so, too
    "partition_floors",
    "rollups_1m",  # of hours whose samples a rebuild made otherwise, they are computed again
    "rollups_1h",
    "rollups_1d",
    "dirty_hours",
    "dirty_days",
    "rebuilt_hours",
    "retentions",
    "rebuilds",
    "erasures",
    "redecodes",
    "redecode_doubts",
    # What rules remember of what they have seen, and what is still to be told: a rebuild tells nothing again.
    "alert_feeds",
    "alert_states",
    "alert_marks",
    "alert_outbox",
    "alembic_version",
)

CONNECTIONS_MAX = 5  # two projections, their dictionaries, the exchange, one to spare
TIMEOUT_S = 1800.0  # a day's rows are carried over, or compared, in one statement


async def connect(url: str) -> asyncpg.Pool:
    """A pool that sees the shadow alone; connects at its first use."""
    return await asyncpg.create_pool(
        plain_url(url),
        min_size=0,
        max_size=CONNECTIONS_MAX,
        command_timeout=TIMEOUT_S,
        timeout=5,
        server_settings={
            "application_name": "hybridmq-telemetry rebuild",
            "search_path": "shadow",
            "synchronous_commit": "off",
            "idle_in_transaction_session_timeout": "60s",
        },
    )


class ShadowDictionaries(Dictionaries):
    """Every device that is met has a row in the shadow, to be counted in."""

    _COPY = (
        "INSERT INTO devices (id, organization, name, messages)"
        " SELECT id, organization, name, 0 FROM public.devices WHERE id = ANY($1) ON CONFLICT DO NOTHING"
    )

    async def _rows(
        self, connection: Session, table: str, missing: set[tuple[int, str]]
    ) -> list[asyncpg.Record]:
        rows = await super()._rows(connection, table, missing)
        if table == "devices" and rows:
            await connection.execute(self._COPY, [row["id"] for row in rows])
        return rows
