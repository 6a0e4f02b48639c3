"""The read models of connections: which are open, what came of each credential's; from activity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from contracts.activity import ActivityRecorded
from contracts.envelope import Recorded
from services.telemetry import presence
from services.telemetry.checkpoints import Session
from services.telemetry.presence import Word

KINDS = frozenset(("device.connected", "device.disconnected", "device.refused"))
_CREDENTIAL = "credential:"
ENDED_KEPT = timedelta(hours=1)  # longer than any log lags behind

_CONNECTED = """
INSERT INTO connections AS held (organization, credential, id, device, connected_at)
    SELECT DISTINCT ON (organization, credential, id) organization, credential, id, device, at
    FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::timestamptz[])
        AS said (organization, credential, id, device, at)
    ORDER BY organization, credential, id, at DESC
ON CONFLICT (organization, credential, id) DO UPDATE
    SET connected_at = excluded.connected_at, ended_at = NULL, device = excluded.device
    WHERE coalesce(held.ended_at, held.connected_at) < excluded.connected_at
"""
_ENDED = """
INSERT INTO connections AS held (organization, credential, id, device, connected_at, ended_at)
    SELECT DISTINCT ON (organization, credential, id) organization, credential, id, device, at, at
    FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::timestamptz[])
        AS said (organization, credential, id, device, at)
    ORDER BY organization, credential, id, at DESC
ON CONFLICT (organization, credential, id) DO UPDATE
    SET ended_at = excluded.ended_at
    WHERE held.connected_at <= excluded.ended_at AND held.ended_at IS NULL
"""
_CONNECTS = """
INSERT INTO credential_statistics AS held
    (organization, credential, connects, last_connected_at, last_address)
    SELECT organization, credential, count(*), max(at), (array_agg(address ORDER BY at DESC))[1]
    FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[])
        AS said (organization, credential, at, address)
    GROUP BY organization, credential ORDER BY organization, credential
ON CONFLICT (organization, credential) DO UPDATE
    SET connects = held.connects + excluded.connects,
        last_connected_at = greatest(held.last_connected_at, excluded.last_connected_at),
        last_address = coalesce(excluded.last_address, held.last_address)
"""
_ENDS = """
INSERT INTO credential_statistics AS held (organization, credential,
    messages_in, bytes_in, messages_out, bytes_out, last_disconnected_at, last_disconnect_reason)
    SELECT organization, credential, sum(messages_in), sum(bytes_in), sum(messages_out), sum(bytes_out),
        max(at), (array_agg(reason ORDER BY at DESC))[1]
    FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[],
        $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
        AS said (organization, credential, at, reason, messages_in, bytes_in, messages_out, bytes_out)
    GROUP BY organization, credential ORDER BY organization, credential
ON CONFLICT (organization, credential) DO UPDATE
    SET messages_in = held.messages_in + excluded.messages_in,
        bytes_in = held.bytes_in + excluded.bytes_in,
        messages_out = held.messages_out + excluded.messages_out,
        bytes_out = held.bytes_out + excluded.bytes_out,
        last_disconnected_at = greatest(held.last_disconnected_at, excluded.last_disconnected_at),
        last_disconnect_reason = excluded.last_disconnect_reason
"""
_REFUSED = """
INSERT INTO credential_refusals AS held (organization, credential, reason, count, last_at)
    SELECT organization, credential, reason, sum(count), max(at)
    FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[], $5::bigint[])
        AS said (organization, credential, at, reason, count)
    GROUP BY organization, credential, reason ORDER BY organization, credential, reason
ON CONFLICT (organization, credential, reason) DO UPDATE
    SET count = held.count + excluded.count, last_at = greatest(held.last_at, excluded.last_at)
"""
_STATE = """
SELECT device, bool_or(ended_at IS NULL) AS open, max(connected_at) FILTER (WHERE ended_at IS NULL) AS opened,
    min(connected_at) FILTER (WHERE ended_at IS NULL) AS since, max(ended_at) AS ended
FROM connections WHERE device = ANY($1) GROUP BY device
"""
_FIRST_HEARD = """
UPDATE devices d SET first_seen = said.at, last_seen = said.at
    FROM unnest($1::int[], $2::timestamptz[]) AS said (id, at) WHERE d.id = said.id AND d.first_seen IS NULL
"""
_FORGET = "DELETE FROM connections WHERE ended_at < now() - $1::interval"


class Happening(NamedTuple):
    """An event of a connection, in the database's terms."""

    kind: str
    organization: int
    credential: str
    connection: str
    device: int | None
    at: datetime
    reason: str
    details: dict[str, Any]
    forgotten: datetime | None = None  # later than `at`: the device was forgotten then

    @property
    def key(self) -> tuple[int, str, str]:
        return self.organization, self.credential, self.connection


def credential_of(event: ActivityRecorded) -> str | None:
    """Whose connection this event is about; None for all other events."""
    if event.kind not in KINDS or event.subject is None or not event.subject.startswith(_CREDENTIAL):
        return None
    return event.subject.removeprefix(_CREDENTIAL)


def happening(
    recorded: Recorded, event: ActivityRecorded, credential: str, organization: int, device: int | None
) -> Happening:
    """A broker that numbers no connections is told apart by client id."""
    named = event.details.get("connection_id") or event.details.get("client_id") or ""
    reason = event.reason or event.summary
    return Happening(
        event.kind, organization, credential, str(named), device, recorded.time, reason, event.details
    )


async def store(connection: Session, happenings: list[Happening]) -> None:
    """All of a batch, within the projection's transaction."""
    came = [each for each in happenings if each.kind == "device.connected"]
    went = [each for each in happenings if each.kind == "device.disconnected"]
    refused = [each for each in happenings if each.kind == "device.refused"]
    if came:
        await connection.execute(_CONNECTED, *_columns(came))
        who = [e.organization for e in came], [e.credential for e in came], [e.at for e in came]
        await connection.execute(_CONNECTS, *who, [e.details.get("address") for e in came])
    if went:
        await connection.execute(_ENDED, *_columns(went))
        who = [e.organization for e in went], [e.credential for e in went], [e.at for e in went]
        counts = ([_count(e, name) for e in went] for name in _COUNTS)
        await connection.execute(_ENDS, *who, [e.reason for e in went], *counts)
    if refused:
        who = [e.organization for e in refused], [e.credential for e in refused], [e.at for e in refused]
        left_out = [_count(e, "left_out", 1) for e in refused]
        await connection.execute(_REFUSED, *who, [e.reason for e in refused], left_out)
    first_heard = {
        each.device: each.at for each in reversed(came) if each.device is not None and each.forgotten is None
    }
    if first_heard:
        await connection.execute(_FIRST_HEARD, list(first_heard), list(first_heard.values()))
    await weigh_devices(connection, {each.device for each in came + went if each.device is not None})
    await forget_devices(
        connection,
        {
            each.device: each.forgotten
            for each in came + went
            if each.device is not None and each.forgotten is not None
        },
    )


async def open_again(connection: Session, happenings: list[Happening]) -> list[int | None]:
    """Connections that are there, whether somebody told of them or not; the devices of those that are news."""
    rows = await connection.fetch(_CONNECTED + " RETURNING device", *_columns(happenings))
    return [row["device"] for row in rows]


async def weigh_devices(connection: Session, devices: set[int]) -> None:
    """Online while one of its connections is open, offline when the last one is gone."""
    if not devices:
        return
    words: dict[int, list[Word]] = {}
    for row in await connection.fetch(_STATE, sorted(devices)):
        if row["open"]:
            words[row["device"]] = [Word(True, row["since"], "connected", row["opened"])]
        else:
            words[row["device"]] = [Word(False, row["ended"], "disconnected", row["ended"])]
    await presence.store(connection, words)


_FORGET_DEVICES = """
WITH gone AS (
    DELETE FROM connections c USING unnest($1::int[], $2::timestamptz[]) AS w (device, since)
    WHERE c.device = w.device AND c.ended_at < w.since
)
DELETE FROM presence p USING unnest($1::int[], $2::timestamptz[]) AS w (device, since)
    WHERE p.device = w.device AND p.at < w.since
        AND NOT EXISTS (SELECT FROM connections c WHERE c.device = w.device AND c.ended_at IS NULL)
"""


async def forget_devices(connection: Session, since: Mapping[int, datetime]) -> None:
    """What connections said of forgotten devices before they were: but for those that are open."""
    if since:
        await connection.execute(_FORGET_DEVICES, list(since), list(since.values()))


async def forget_ended(connection: Session) -> None:
    await connection.execute(_FORGET, ENDED_KEPT)


_COUNTS = ("messages_in", "bytes_in", "messages_out", "bytes_out")


def _columns(happenings: Iterable[Happening]) -> tuple[list[Any], ...]:
    """In the order of the keys: two writers at a time then wait, and never for each other."""
    ordered = sorted(happenings, key=lambda each: each.key)
    return (
        [each.organization for each in ordered],
        [each.credential for each in ordered],
        [each.connection for each in ordered],
        [each.device for each in ordered],
        [each.at for each in ordered],
    )


def _count(event: Happening, name: str, otherwise: int = 0) -> int:
    value = event.details.get(name, otherwise)
    return value if isinstance(value, int) else otherwise
