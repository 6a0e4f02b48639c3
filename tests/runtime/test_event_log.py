"""The event log on the real server: expected sequences, all or none, retried without doubling."""

from datetime import UTC, datetime

import pytest
from uuid_utils import uuid7

from contracts import subjects
from contracts.envelope import Cause
from contracts.failures import Refused, Unavailable
from contracts.organizations import ApiKeyIssued, OrganizationCreated, OrganizationDeleted
from deploy.local.nats import NatsServer
from runtime import jetstream
from runtime.bus import Bus
from runtime.event_log import Append, EventLog
from tests.runtime.conftest import bus_of

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
CAUSE = Cause(actor="admin", source="credentials", command_id="c1")
CREATED = OrganizationCreated(name="Acme")
KEY = ApiKeyIssued(name="first", scopes=("read",), verifier="v", hint="hmq_key_abcd")


def new_organization() -> str:
    id = f"org_{uuid7().hex[-16:]}"
    return subjects.registry(id, "organization", id)


async def test_an_event_is_read_back_as_it_was_appended(credentials_bus: Bus) -> None:
    log, subject = EventLog(credentials_bus.client, "REGISTRY"), new_organization()
    appended = await log.append([Append(subject, CREATED, 0)], cause=CAUSE, now=NOW)
    assert await log.read(subject) == appended
    assert appended[0].event == CREATED
    assert (appended[0].actor, appended[0].command_id, appended[0].time) == ("admin", "c1", NOW)


async def test_the_second_of_two_writers_is_refused(credentials_bus: Bus) -> None:
    log, subject = EventLog(credentials_bus.client, "REGISTRY"), new_organization()
    await log.append([Append(subject, CREATED, 0)], cause=CAUSE, now=NOW)
    with pytest.raises(Refused, match="conflict"):
        await log.append([Append(subject, OrganizationDeleted(), 0)], cause=CAUSE, now=NOW)
    assert [held.event for held in await log.read(subject)] == [CREATED]


async def test_a_stale_part_keeps_the_whole_batch_out(credentials_bus: Bus) -> None:
    log, taken, fresh = EventLog(credentials_bus.client, "REGISTRY"), new_organization(), new_organization()
    await log.append([Append(taken, CREATED, 0)], cause=CAUSE, now=NOW)
    with pytest.raises(Refused, match="conflict"):
        await log.append([Append(fresh, CREATED, 0), Append(taken, KEY, 0)], cause=CAUSE, now=NOW)
    assert await log.read(fresh) == []


async def test_a_retry_after_a_lost_acknowledgement_does_not_double(
    credentials_bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, subject = EventLog(credentials_bus.client, "REGISTRY"), new_organization()
    real, calls = jetstream.request, 0

    async def lossy(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        answer = await real(*arguments, **options)  # type: ignore[arg-type]
        if calls == 1:
            raise Unavailable("log.unavailable", "the acknowledgement is lost")
        return answer

    monkeypatch.setattr(jetstream, "request", lossy)
    appended = await log.append([Append(subject, CREATED, 0)], cause=CAUSE, now=NOW)
    assert calls == 2
    assert await log.read(subject) == appended


async def test_an_entity_without_events_reads_as_empty(credentials_bus: Bus) -> None:
    assert await EventLog(credentials_bus.client, "REGISTRY").read(new_organization()) == []


async def test_a_service_that_is_no_writer_cannot_append(provisioned_nats: NatsServer) -> None:
    async with bus_of(provisioned_nats, "gateway") as bus:
        log = EventLog(bus.client, "REGISTRY", ack_timeout_s=0.3, patience_s=0.3)
        subject = new_organization()
        with pytest.raises(Unavailable):
            await log.append([Append(subject, CREATED, 0)], cause=CAUSE, now=NOW)
    async with bus_of(provisioned_nats, "credentials") as bus:
        assert await EventLog(bus.client, "REGISTRY").read(subject) == []


async def test_an_event_of_a_newer_type_is_left_alone(credentials_bus: Bus) -> None:
    log, subject = EventLog(credentials_bus.client, "REGISTRY"), new_organization()
    await log.append([Append(subject, CREATED, 0)], cause=CAUSE, now=NOW)
    newer = {"ce-id": "x", "ce-type": "organization.sold.v1", "ce-time": NOW.isoformat()}
    await jetstream.request(credentials_bus.client, subject, b"{}", headers=newer)
    assert [held.event for held in await log.read(subject)] == [CREATED]
