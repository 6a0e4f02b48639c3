"""The read models' tables as queries see them; `migrations/` makes them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()
_TIME = DateTime(timezone=True)

organizations = Table(
    "organizations", metadata, Column("id", Integer, primary_key=True), Column("name", Text, nullable=False)
)
metrics = Table(
    "metrics",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organization", Integer, nullable=False),
    Column("name", Text, nullable=False),
)
devices = Table(
    "devices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organization", Integer, nullable=False),
    Column("first_seen", _TIME),
    Column("last_seen", _TIME),
    Column("messages", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
)
presence = Table(
    "presence",
    metadata,
    Column("device", Integer, primary_key=True),
    Column("organization", Integer, nullable=False),
    Column("online", Boolean, nullable=False),
    Column("since", _TIME, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", _TIME, nullable=False),
)
credential_statistics = Table(
    "credential_statistics",
    metadata,
    Column("organization", Integer, primary_key=True),
    Column("credential", Text, primary_key=True),
    Column("connects", BigInteger, nullable=False),
    Column("messages_in", BigInteger, nullable=False),
    Column("bytes_in", BigInteger, nullable=False),
    Column("messages_out", BigInteger, nullable=False),
    Column("bytes_out", BigInteger, nullable=False),
    Column("last_connected_at", _TIME),
    Column("last_disconnected_at", _TIME),
    Column("last_disconnect_reason", Text),
    Column("last_address", Text),
)
credential_refusals = Table(
    "credential_refusals",
    metadata,
    Column("organization", Integer, primary_key=True),
    Column("credential", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("last_at", _TIME, nullable=False),
)
device_metrics = Table(
    "device_metrics",
    metadata,
    Column("organization", Integer, nullable=False),
    Column("device", Integer, primary_key=True),
    Column("metric", Integer, primary_key=True),
    Column("day", Date, nullable=False),
)
decoders = Table(
    "decoders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("settings_hash", Text, nullable=False),
)
samples = Table(
    "samples",
    metadata,
    Column("time", _TIME, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("organization", Integer, nullable=False),
    Column("device", Integer, nullable=False),
    Column("epoch", SmallInteger, nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("flags", SmallInteger, nullable=False),
    Column("decoder", Integer),
    Column("source", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("metrics", ARRAY(Integer), nullable=False),
    Column("numbers", ARRAY(Double), nullable=False),
    Column("others", JSONB),
    Column("units", JSONB),
)
messages = Table(
    "messages",
    metadata,
    Column("received_at", _TIME, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("organization", Integer, nullable=False),
    Column("device", Integer),
    Column("epoch", SmallInteger, nullable=False),
    Column("qos", SmallInteger, nullable=False),
    Column("retain", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("failure", Text),
)
dead_letters = Table(
    "dead_letters",
    metadata,
    Column("received_at", _TIME, nullable=False),
    Column("organization", Integer, nullable=False),
    Column("id", Text, nullable=False),
    Column("stream_created", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("decoder", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("closed_at", _TIME),
    Column("closed_by", Text),
)
activity = Table(
    "activity",
    metadata,
    Column("time", _TIME, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("organization", Integer, nullable=False),
    Column("epoch", SmallInteger, nullable=False),
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("subject", Text),
    Column("device_id", Text),
    Column("reason", Text),
    Column("duration_ms", Double),
    Column("details", JSONB, nullable=False),
)
device_commands = Table(
    "device_commands",
    metadata,
    Column("organization", Integer, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("queued_at", _TIME, nullable=False),
    Column("expires_at", _TIME, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("sent_at", _TIME),
    Column("delivered_at", _TIME),
    Column("ended_at", _TIME),
    Column("qos", SmallInteger, nullable=False),
    Column("retain", Boolean, nullable=False),
    Column("integration_id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("response_topic", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("remark", Text),
    Column("payload", LargeBinary, nullable=False),
    Column("answer_topic", Text),
    Column("answer", LargeBinary),
    Column("answer_message", BigInteger),
    Column("failure_code", Text),
    Column("failure_detail", Text),
)
