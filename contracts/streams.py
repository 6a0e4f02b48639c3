"""The streams and buckets, as data: who writes, who reads, what is kept and why. `runtime.provision` makes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from contracts import subjects

KIB, MIB, GIB = 1024, 1024**2, 1024**3
PAYLOAD_BYTES_MAX = (
    256 * KIB
)  # AWS IoT takes 128 KiB, Azure 256: nothing that a device sends today is refused


@dataclass(frozen=True, slots=True)
class Source:
    """Another account's stream that flows into this one, kept by the server itself."""

    stream: str
    api_prefix: str
    deliver_prefix: str


@dataclass(frozen=True, slots=True)
class Stream:
    name: str
    subjects: tuple[str, ...]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    max_age: timedelta | None = None
    max_bytes: int = -1
    max_msg_size: int = -1
    max_msgs_per_subject: int = -1
    duplicate_window: timedelta = timedelta(
        minutes=2
    )  # a retry after a lost acknowledgement comes within seconds
    immutable: bool = False  # no API call may delete or purge single messages
    sources: tuple[Source, ...] = ()
    transform: tuple[str, str] | None = None  # of the subject of what comes in, (from, to)
    metadata: dict[str, str] = field(default_factory=dict)

    def config(self, replicas: int = 1) -> dict[str, Any]:
        """The stream's configuration as the JetStream API takes it."""
        nanoseconds = 1_000_000_000
        window = min(self.duplicate_window, self.max_age) if self.max_age else self.duplicate_window
        config: dict[str, Any] = {
            "name": self.name,
            "subjects": list(self.subjects),
            "storage": "file",
            "retention": "limits",
            # Old, never new: a stream that refuses writes does not hold back an MQTT acknowledgement (FACTS).
            "discard": "old",
            "num_replicas": replicas,
            "max_consumers": -1,
            "max_msgs": -1,
            "max_bytes": self.max_bytes,
            "max_age": int(self.max_age.total_seconds() * nanoseconds) if self.max_age else 0,
            "max_msg_size": self.max_msg_size,
            "max_msgs_per_subject": self.max_msgs_per_subject,
            "duplicate_window": int(window.total_seconds() * nanoseconds),
            "allow_direct": True,
            "allow_atomic": True,
            "deny_delete": self.immutable,
            "deny_purge": self.immutable,
        }
        if self.sources:
            config["sources"] = [
                {
                    "name": source.stream,
                    "external": {"api": source.api_prefix, "deliver": source.deliver_prefix},
                }
                for source in self.sources
            ]
        if self.transform:
            config["subject_transform"] = {"src": self.transform[0], "dest": self.transform[1]}
        return config


REGISTRY = Stream(
    name="REGISTRY",
    subjects=(subjects.REGISTRY_ALL,),
    writers=("credentials",),
    readers=("credentials", "ingest", "telemetry", "gateway"),
    # An event is settings, never data. The largest: an integration's certificates, topics and decoder.
    max_msg_size=256 * KIB,
    immutable=True,  # it is the truth, for ever
)

# The server's own stream of QoS 1 and 2 publishes in the device account. Without a filter: with one, the server
# looks at every device's subject for each message (63 against 34 µs of its CPU with 1,000 devices, ADR 7).
MQTT_MESSAGES = Source(
    stream="$MQTT_msgs",
    api_prefix="JS.devices.API",
    deliver_prefix="deliver.platform",
)

MESSAGES = Stream(
    name="MESSAGES",
    subjects=(subjects.MESSAGES_ALL,),
    writers=("hosted broker", "ingest", "gateway"),
    readers=("telemetry", "gateway", "ingest"),
    max_age=timedelta(days=30),  # how far back history can be decoded again
    max_bytes=32 * GIB,  # a month of 50 messages a second of 200 bytes; operators raise it with their disk
    # Whatever the listener acknowledged must fit (the server's max_payload bounds it): one message over a
    # limit here would stop the source, and with it everybody's. Decoding refuses what is over the platform's.
    max_msg_size=-1,
    sources=(MQTT_MESSAGES,),
    # What devices publish below `devices`; commands to devices come along under their own subjects, unread.
    transform=(
        "$MQTT.msgs.*.devices.*.>",
        f"message.{{{{partition({subjects.PARTITIONS},1,2)}}}}.{{{{wildcard(1)}}}}.{subjects.HOSTED}.{{{{wildcard(2)}}}}.>",
    ),
)

ACTIVITY = Stream(
    name="ACTIVITY",
    subjects=(subjects.ACTIVITY_ALL,),
    writers=("gateway", "credentials", "ingest", "telemetry"),
    readers=("telemetry", "gateway", "ingest"),
    max_age=timedelta(days=90),  # a quarter, for whoever asks what happened
    max_bytes=4 * GIB,
    max_msg_size=64 * KIB,
)

DEADLETTERS = Stream(
    name="DEADLETTERS",
    subjects=(subjects.DEADLETTERS_ALL,),
    writers=("telemetry",),
    readers=("telemetry",),
    max_age=timedelta(days=30),  # as long as MESSAGES holds what they came from
    max_bytes=4 * GIB,
    max_msg_size=PAYLOAD_BYTES_MAX + 16 * KIB,
)

COMMANDS = Stream(
    name="COMMANDS",
    subjects=(subjects.COMMANDS_ALL,),
    writers=("gateway", "ingest"),  # who orders; who sends, and hears the answer
    readers=("gateway", "ingest", "telemetry"),
    max_age=timedelta(days=30),  # as long as MESSAGES holds the answers
    max_bytes=2 * GIB,
    max_msg_size=PAYLOAD_BYTES_MAX * 4 // 3 + 16 * KIB,  # a payload as base64
)

ALERTS = Stream(
    name="ALERTS",
    subjects=(subjects.ALERTS_ALL,),
    writers=("telemetry",),
    readers=("telemetry", "gateway", "ingest"),  # the read model; live; webhooks
    max_age=timedelta(days=400),  # a year and a month, to compare with the year before
    max_bytes=2 * GIB,
    max_msg_size=64 * KIB,
)

DELIVERIES = Stream(
    name="DELIVERIES",
    subjects=(subjects.DELIVERIES_ALL,),
    writers=("ingest",),
    readers=("ingest",),
    max_age=timedelta(days=30),  # what waits for longer, the logs hold no more either
    max_bytes=4 * GIB,
    max_msg_size=64 * KIB,  # references to a hundred messages take some 2 KiB
    max_msgs_per_subject=1,
)

SECRETS_BUCKET = "SECRETS"
IDEMPOTENCY_BUCKET = "IDEMPOTENCY"
LEASES_BUCKET = "LEASES"
REPLICAS_BUCKET = "REPLICAS"
LAST_USED_BUCKET = "LAST_USED"


def _bucket(
    name: str,
    writers: tuple[str, ...],
    *,
    max_age: timedelta | None,
    max_bytes: int,
    max_msg_size: int = 256 * KIB,
) -> Stream:
    return Stream(
        name=f"KV_{name}",
        subjects=(f"$KV.{name}.>",),
        writers=writers,
        readers=writers,
        max_age=max_age,
        max_bytes=max_bytes,
        max_msg_size=max_msg_size,
        max_msgs_per_subject=1,
    )


SECRETS = _bucket(SECRETS_BUCKET, ("credentials",), max_age=None, max_bytes=1 * GIB)
# A client that retries does so within the day. The largest plan: an integration with all of its certificates and
# topics, as event and as answer.
IDEMPOTENCY = _bucket(
    IDEMPOTENCY_BUCKET,
    ("credentials",),
    max_age=timedelta(hours=24),
    max_bytes=1 * GIB,
    max_msg_size=768 * KIB,
)
# Which ingest process owns which link: gone by itself when its owner dies.
LEASES = _bucket(LEASES_BUCKET, ("ingest",), max_age=timedelta(seconds=10), max_bytes=64 * MIB)
# Which ingest processes are alive: a replica that dies leaves its links within this time (ADR 16).
REPLICAS = _bucket(REPLICAS_BUCKET, ("ingest",), max_age=timedelta(seconds=3), max_bytes=1 * MIB)

# When each secret was last used, and by which client ids: one small entry for each credential and key.
LAST_USED = _bucket(LAST_USED_BUCKET, ("credentials",), max_age=None, max_bytes=256 * MIB)

STREAMS: tuple[Stream, ...] = (
    REGISTRY,
    MESSAGES,
    ACTIVITY,
    DEADLETTERS,
    COMMANDS,
    ALERTS,
    DELIVERIES,
    SECRETS,
    IDEMPOTENCY,
    LEASES,
    REPLICAS,
    LAST_USED,
)
