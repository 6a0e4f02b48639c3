"""What each service may say and hear on NATS: allow-lists, from which every server configuration is made.

Nobody but `provision` may create, change, purge or delete a stream; `backup` reads them whole, and restores those that
are gone. A service reads only the streams that `contracts.streams` names it a reader of. Each service has an inbox of
its own that no other may read.
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts.streams import MESSAGES, STREAMS, Stream

ANSWER_S = 60  # the longest call takes 12 s; a service that is stopped for a while still answers


@dataclass(frozen=True, slots=True)
class Permissions:
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    responses: int = 0  # messages to the inbox of a request that reached it, within ANSWER_S; no other inbox


def _reads(stream: Stream) -> tuple[str, ...]:
    return (
        f"$JS.API.STREAM.INFO.{stream.name}",
        f"$JS.API.CONSUMER.CREATE.{stream.name}.>",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream.name}.*",
        f"$JS.API.CONSUMER.INFO.{stream.name}.*",
        f"$JS.API.DIRECT.GET.{stream.name}",
        f"$JS.API.DIRECT.GET.{stream.name}.>",
    )


def _service(
    name: str, publish: tuple[str, ...], subscribe: tuple[str, ...], *, responses: int = 1
) -> Permissions:
    reads = tuple(subject for stream in STREAMS if name in stream.readers for subject in _reads(stream))
    return Permissions((*publish, *reads), (*subscribe, f"_INBOX.{name}.>"), responses=responses)


# Where a device's source stands: asked before any device is let in.
_SOURCE_STATE = (f"$JS.API.STREAM.INFO.{MESSAGES.name}", "JS.devices.API.CONSUMER.NAMES.$MQTT_msgs")

PLATFORM_USERS: dict[str, Permissions] = {
    "gateway": _service(
        "gateway",
        publish=(
            "command.credentials.*",
            "query.credentials.*",
            "command.ingest.*",
            "query.ingest.*",
            "link.*.*.*",
            "query.telemetry.*",
            "command.telemetry.*",
            "message.*.*.http",
            "device-command.*.*",
            "activity.*.*",
        ),
        subscribe=(
            "registry.*.api-key.*",
            "registry.*.admin-key.*",
            "registry.*.organization.*",
            "registry.*.credential.*",
            "device-command.*.*",
        ),
    ),
    "credentials": _service(
        "credentials",
        publish=(
            "registry.>",
            "activity.*.*",
            "$KV.SECRETS.>",
            "$KV.IDEMPOTENCY.>",
            "$KV.LAST_USED.>",
            *_SOURCE_STATE,
        ),
        subscribe=(
            "command.credentials.*",
            "query.credentials.*",
            "secret.credentials.*",
            "notice.credentials.*",
            "$SYS.REQ.USER.AUTH",
        ),
    ),
    "ingest": _service(
        "ingest",
        # Only ingest opens connections to brokers and receivers, so only it may ask for the secrets of both.
        publish=(
            "message.>",
            "device-command.*.*",
            "delivery.*.*.*",
            "activity.*.*",
            "$KV.LEASES.>",
            "$KV.REPLICAS.*",
            "secret.credentials.*",
            "command.credentials.pause-webhook",
        ),
        subscribe=("command.ingest.*", "query.ingest.*", "link.*.*.*"),
        responses=256,  # steps of a connection test: a dozen, and one for each of up to 100 filters
    ),
    "telemetry": _service(
        "telemetry",
        publish=(
            "deadletter.*.*",
            "alert.*.*",
            "activity.*.*",
            "query.credentials.all-connections",
            "command.credentials.end-redecode",
            "command.credentials.order-retry",
        ),
        subscribe=("query.telemetry.*", "command.telemetry.*"),
    ),
    # Beside each server of a cluster: reads its log, and says what it forbade devices.
    "brokerlog": Permissions(publish=("notice.credentials.violations",), subscribe=("_INBOX.brokerlog.>",)),
    "provision": Permissions(
        publish=(
            "$JS.API.INFO",
            "$JS.API.STREAM.INFO.*",
            "$JS.API.STREAM.CREATE.*",
            "$JS.API.STREAM.UPDATE.*",
            *_SOURCE_STATE,
        ),
        subscribe=("_INBOX.provision.>",),
    ),
    # Reads all of every stream, and makes those that are gone: nobody holds its seed but the backup's Job.
    "backup": Permissions(
        publish=(
            "$JS.API.STREAM.INFO.*",
            "$JS.API.STREAM.SNAPSHOT.*",
            "$JS.API.STREAM.RESTORE.*",
            "$JS.SNAPSHOT.ACK.>",
            "$JS.SNAPSHOT.RESTORE.>",
        ),
        subscribe=("_INBOX.backup.>",),
    ),
}
SYS_USERS: dict[str, Permissions] = {
    "credentials": Permissions(
        publish=("$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.SERVER.*.KICK", "$SYS.REQ.SERVER.PING"),
        subscribe=(
            "$SYS.ACCOUNT.DEVICES.CONNECT",
            "$SYS.ACCOUNT.DEVICES.DISCONNECT",
            "_INBOX.credentials.>",
        ),
    ),
}

DEVICES_USERS: dict[str, Permissions] = {
    # ingest's reader of QoS 0: hears what devices publish, says nothing.
    "ingest": Permissions(publish=(), subscribe=("*.devices.>",)),
    # Erases what a revoked credential left retained.
    "credentials": Permissions(
        publish=(
            "$JS.API.STREAM.INFO.$MQTT_rmsgs",
            "$JS.API.STREAM.MSG.GET.$MQTT_rmsgs",
            "$MQTT.rmsgs.*.devices.>",
            "$MQTT.rmsgs.*.commands.>",
        ),
        subscribe=("_INBOX.credentials.>",),
    ),
    # The platform's own MQTT client (user and password): publishes commands, and makes `$MQTT_msgs` exist.
    "platform": Permissions(
        publish=("*.commands.>", "*.devices.>"),
        subscribe=("$MQTT.sub.>", "$MQTT.deliver.pubrel.>"),
    ),
}
