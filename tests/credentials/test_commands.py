"""Commands against the real log: once each, visible when answered, the same for every replica."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts import subjects
from contracts.credentials import (
    AuthenticateDevice,
    GetCredential,
    IssueCredential,
    ListCredentials,
    RevokeCredential,
)
from contracts.envelope import Cause, Recorded
from contracts.organizations import (
    PLATFORM,
    ApiKeyRevoked,
    Authenticate,
    CreateOrganization,
    DeleteOrganization,
    IssueApiKey,
    List,
    RevokeApiKey,
)
from runtime.event_log import Append, EventLog
from services.credentials import choosing
from tests.credentials.parts import ADMIN, MakeReplica, Replica, refused, unique


def issue(organization: str, **fields: Any) -> IssueCredential:
    return IssueCredential(organization=organization, actor="key:k", **fields)


def create(command_id: str, name: str = "Acme") -> CreateOrganization:
    return CreateOrganization(organization=PLATFORM, actor=ADMIN, name=name, command_id=command_id)


class Killed(BaseException):
    """What kill -9 is to the code: no handler runs."""


class DiesBeforeAppending(EventLog):
    async def append(self, appends: Sequence[Append], *, cause: Cause, now: datetime) -> list[Recorded]:
        raise Killed


class DiesAfterAppending(EventLog):
    async def append(self, appends: Sequence[Append], *, cause: Cause, now: datetime) -> list[Recorded]:
        await super().append(appends, cause=cause, now=now)
        raise Killed


async def test_an_organization_comes_with_a_key_that_may_do_everything(replica: Replica) -> None:
    organization = await replica.organization()

    principal = await replica.who.key(Authenticate(secret=organization.api_key.secret))

    assert principal.organization == organization.id
    assert principal.actor == f"key:{organization.api_key.id}"
    assert "admin" in principal.scopes


async def test_what_was_written_is_seen_by_the_next_question(replica: Replica) -> None:
    organization = await replica.organization()
    for number in range(20):
        issued = await replica.handlers.issue_credential(issue(organization.id, device_id=f"d{number}"))
        page = await replica.queries.credentials(ListCredentials(organization=organization.id, actor="k"))
        assert page.items[-1].id == issued.id


async def test_another_replica_knows_what_was_issued_this_moment(
    make_replica: MakeReplica,
) -> None:
    async with make_replica() as one, make_replica() as other:
        organization = await one.organization()
        for _ in range(10):
            issued = await one.handlers.issue_credential(issue(organization.id))
            login = AuthenticateDevice(username=issued.username, password=issued.password)
            assert (await other.who.device(login)).actor == f"device:{issued.id}"
            key = await one.handlers.issue_api_key(
                IssueApiKey(organization=organization.id, actor="k", name="ci")
            )
            assert (await other.who.key(Authenticate(secret=key.secret))).actor == f"key:{key.id}"


async def test_two_who_change_the_same_thing_cannot_both_win(replica: Replica) -> None:
    organization = await replica.organization()
    subject = subjects.registry(organization.id, "api-key", organization.api_key.id)
    [event] = await replica.log.read(subject)
    append = [Append(subject, ApiKeyRevoked(), event.sequence)]
    cause, now = Cause("test", "test"), datetime.now(UTC)

    await replica.log.append(append, cause=cause, now=now)

    with refused("conflict"):
        await replica.log.append(append, cause=cause, now=now)
    assert len(await replica.log.read(subject)) == 2


async def test_revoking_from_many_sides_at_once_is_one_event(make_replica: MakeReplica) -> None:
    async with make_replica() as one, make_replica() as other:
        organization = await one.organization()
        issued = await one.handlers.issue_credential(issue(organization.id))
        revoke = RevokeCredential(organization=organization.id, actor="k", id=issued.id)

        await asyncio.gather(*(each.handlers.revoke_credential(revoke) for each in (one, other, one, other)))

        events = await one.log.read(subjects.registry(organization.id, "credential", issued.id))
        assert [event.event.type for event in events] == ["credential.issued", "credential.revoked"]


class TestIdempotency:
    async def test_the_same_command_twice_gives_the_same_answer(self, replica: Replica) -> None:
        organization = await replica.organization()
        request = issue(organization.id, device_id="d1", command_id=unique("c"))

        first = await replica.handlers.issue_credential(request)
        second = await replica.handlers.issue_credential(request)

        assert first == second
        page = await replica.queries.credentials(ListCredentials(organization=organization.id, actor="k"))
        assert [item.id for item in page.items] == [first.id]

    async def test_many_at_once_give_one_resource(self, make_replica: MakeReplica) -> None:
        async with make_replica() as one, make_replica() as other:
            request = create(unique("c"), unique("Acme"))
            answers = await asyncio.gather(
                *(each.handlers.create_organization(request) for each in (one, other) * 5)
            )
            assert len({answer.model_dump_json() for answer in answers}) == 1
            page = await one.queries.organizations(List(organization=PLATFORM, actor=ADMIN, limit=1000))
            assert [item.name for item in page.items].count(request.name) == 1

    async def test_another_request_with_the_same_id_is_refused(self, replica: Replica) -> None:
        command_id = unique("c")
        await replica.handlers.create_organization(create(command_id))
        with refused("idempotency.reused"):
            await replica.handlers.create_organization(create(command_id, "Other"))

    async def test_two_organizations_may_use_the_same_id(self, replica: Replica) -> None:
        command_id = unique("c")
        one, other = await replica.organization(), await replica.organization()
        first = await replica.handlers.issue_credential(issue(one.id, command_id=command_id))
        second = await replica.handlers.issue_credential(issue(other.id, command_id=command_id))
        assert first.id != second.id

    async def test_killed_between_plan_and_append_it_is_finished(self, make_replica: MakeReplica) -> None:
        request = create(unique("c"), unique("Acme"))
        async with make_replica(DiesBeforeAppending) as dying:
            with pytest.raises(Killed):
                await dying.handlers.create_organization(request)
            page = await dying.queries.organizations(List(organization=PLATFORM, actor=ADMIN, limit=1000))
            assert request.name not in [item.name for item in page.items]

        async with make_replica() as replica:
            first = await replica.handlers.create_organization(request)
            again = await replica.handlers.create_organization(request)

            assert first == again
            assert (await replica.who.key(Authenticate(secret=first.api_key.secret))).organization == first.id
            page = await replica.queries.organizations(List(organization=PLATFORM, actor=ADMIN, limit=1000))
            assert [item.id for item in page.items if item.name == request.name] == [first.id]

    async def test_killed_after_the_append_a_retry_gets_the_answer(self, make_replica: MakeReplica) -> None:
        async with make_replica() as replica:
            organization = await replica.organization()
        request = issue(organization.id, device_id="d1", command_id=unique("c"))
        async with make_replica(DiesAfterAppending) as dying:
            with pytest.raises(Killed):
                await dying.handlers.issue_credential(request)

        async with make_replica() as replica:
            answer = await replica.handlers.issue_credential(request)

            page = await replica.queries.credentials(ListCredentials(organization=organization.id, actor="k"))
            assert [item.id for item in page.items] == [answer.id]
            assert page.items[0].created_at == answer.created_at
            login = AuthenticateDevice(username=answer.username, password=answer.password)
            assert (await replica.who.device(login)).device_id == "d1"

    async def test_a_plan_that_somebody_else_overtook_is_made_again(self, make_replica: MakeReplica) -> None:
        async with make_replica() as replica:
            organization = await replica.organization()
            issued = await replica.handlers.issue_credential(issue(organization.id))
            revoke = RevokeCredential(
                organization=organization.id, actor="k", id=issued.id, command_id=unique("c")
            )
            async with make_replica(DiesBeforeAppending) as dying:
                with pytest.raises(Killed):
                    await dying.handlers.revoke_credential(revoke)
            await replica.handlers.revoke_credential(revoke.model_copy(update={"command_id": None}))

            await replica.handlers.revoke_credential(revoke)

            events = await replica.log.read(subjects.registry(organization.id, "credential", issued.id))
            assert len(events) == 2

    async def test_the_callers_own_key_stays_out_of_the_log(self, replica: Replica) -> None:
        organization = await replica.organization()
        issued = await replica.handlers.issue_credential(issue(organization.id, command_id="invoice 4711"))
        [event] = await replica.log.read(subjects.registry(organization.id, "credential", issued.id))
        assert event.command_id is not None
        assert len(event.command_id) == 64
        assert "invoice" not in event.command_id


class TestDirectory:
    async def test_is_rebuilt_at_the_start(self, make_replica: MakeReplica) -> None:
        async with make_replica() as replica:
            organization = await replica.organization("Rebuilt")
            kept = await replica.handlers.issue_credential(issue(organization.id, device_id="d1"))
            gone = await replica.handlers.issue_credential(issue(organization.id))
            revoke = RevokeCredential(organization=organization.id, actor="k", id=gone.id)
            await replica.handlers.revoke_credential(revoke)
            everything = ListCredentials(organization=organization.id, actor="k")
            before = await replica.queries.credentials(everything)

        async with make_replica() as replica:
            assert replica.directory.caught_up
            assert await replica.queries.credentials(everything) == before
            assert [item.state for item in before.items] == ["active", "revoked"]
            login = AuthenticateDevice(username=kept.username, password=kept.password)
            assert (await replica.who.device(login)).organization == organization.id

    async def test_lists_page_oldest_first(self, replica: Replica) -> None:
        organization = await replica.organization()
        ids = [(await replica.handlers.issue_credential(issue(organization.id))).id for _ in range(5)]
        seen: list[str] = []
        cursor = None
        while True:
            page = await replica.queries.credentials(
                ListCredentials(organization=organization.id, actor="k", limit=2, cursor=cursor)
            )
            seen += [item.id for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
            assert len(page.items) == 2
        assert seen == ids

    async def test_credentials_are_found_in_either_order(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        organization = await replica.organization()
        made = [
            await replica.handlers.issue_credential(issue(organization.id, device_id=f"Boiler-{number}"))
            for number in range(5)
        ]
        ids = [each.id for each in made]
        await replica.handlers.revoke_credential(
            RevokeCredential(organization=organization.id, actor="k", id=ids[1])
        )

        async def found(**asked: Any) -> list[str]:
            seen, cursor = list[str](), None
            for _ in range(20):
                page = await replica.queries.credentials(
                    ListCredentials(organization=organization.id, actor="k", limit=2, cursor=cursor, **asked)
                )
                seen += [item.id for item in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    return seen
            raise AssertionError("it has no end")

        for looks in (choosing.LOOKS_MAX, 1, 2):
            monkeypatch.setattr(choosing, "LOOKS_MAX", looks)
            assert await found(sort="-created_at") == ids[::-1]
            assert await found() == ids
            assert await found(state="revoked") == [ids[1]]
            assert await found(state="active", sort="-created_at") == [ids[4], ids[3], ids[2], ids[0]]
            assert await found(q="boiler-3") == [ids[3]]
            assert await found(q=ids[2]) == [ids[2]]
            assert await found(q=made[4].password[:12]) == [ids[4]]
            assert await found(q="pump") == []

    async def test_a_page_fits_into_one_message_however_much_its_items_hold(self, replica: Replica) -> None:
        organization = await replica.organization()
        long = [f"devices/{number:02}/{'x' * 900}" for number in range(50)]
        for _ in range(13):
            await replica.handlers.issue_credential(issue(organization.id, publish=long, subscribe=[]))
        first = await replica.queries.credentials(
            ListCredentials(organization=organization.id, actor="k", limit=1000)
        )
        assert 0 < len(first.items) < 13
        assert len(first.model_dump_json()) < 1024 * 1024
        rest = await replica.queries.credentials(
            ListCredentials(organization=organization.id, actor="k", limit=1000, cursor=first.next_cursor)
        )
        assert len(first.items) + len(rest.items) == 13

    @pytest.mark.parametrize("cursor", ["", "x", "!!", "YWZ0ZXI6eA==", "é"])
    async def test_a_cursor_that_is_none_is_refused(self, replica: Replica, cursor: str) -> None:
        with refused("cursor.invalid"):
            await replica.queries.api_keys(List(organization="org_x", actor="k", cursor=cursor))

    async def test_a_flood_of_unknown_credentials_asks_the_server_seldom(self, replica: Replica) -> None:
        organization = await replica.organization()
        known = await replica.handlers.issue_credential(issue(organization.id))
        sent_before = replica.bus.client.stats["out_msgs"]

        async def one(number: int) -> None:
            login = AuthenticateDevice(username=f"cred_{number:016}", password=known.password)
            with refused("connect.unknown"):
                await replica.who.device(login)

        await asyncio.gather(*(one(number) for number in range(500)))
        assert replica.bus.client.stats["out_msgs"] - sent_before < 20


class TestTenants:
    async def test_another_tenants_credential_is_as_absent_as_a_missing_one(self, replica: Replica) -> None:
        one, other = await replica.organization(), await replica.organization()
        theirs = await replica.handlers.issue_credential(issue(other.id))
        for id in (theirs.id, "cred_missing", "*", ">", f"{theirs.id}.x", ""):
            with refused("not_found"):
                await replica.queries.credential(GetCredential(organization=one.id, actor="k", id=id))
            with refused("not_found"):
                await replica.handlers.revoke_credential(
                    RevokeCredential(organization=one.id, actor="k", id=id)
                )
            with refused("not_found"):
                await replica.handlers.revoke_api_key(RevokeApiKey(organization=one.id, actor="k", id=id))

    async def test_only_the_platform_manages_organizations(self, replica: Replica) -> None:
        one = await replica.organization()
        with refused("scope.missing"):
            await replica.queries.organizations(List(organization=one.id, actor="k"))
        with refused("scope.missing"):
            await replica.handlers.delete_organization(
                DeleteOrganization(organization=one.id, actor="k", id=one.id)
            )

    async def test_deleting_an_organization_ends_all_its_access(self, replica: Replica) -> None:
        organization = await replica.organization()
        device = await replica.handlers.issue_credential(issue(organization.id))

        await replica.handlers.delete_organization(
            DeleteOrganization(organization=PLATFORM, actor=ADMIN, id=organization.id)
        )

        with refused("key.invalid"):
            await replica.who.key(Authenticate(secret=organization.api_key.secret))
        with refused("connect.revoked"):
            await replica.who.device(AuthenticateDevice(username=device.username, password=device.password))
        with refused("organization.deleted"):
            await replica.handlers.issue_credential(issue(organization.id))

    async def test_nothing_is_issued_to_an_organization_that_never_was(self, replica: Replica) -> None:
        with refused("not_found"):
            await replica.handlers.issue_credential(issue("org_zzzzzzzzzzzzzzzz"))


async def test_an_expired_key_and_an_expired_credential_are_refused(replica: Replica) -> None:
    organization = await replica.organization()
    soon = datetime.now(UTC) + timedelta(seconds=0.2)
    key = await replica.handlers.issue_api_key(
        IssueApiKey(organization=organization.id, actor="k", name="ci", expires_at=soon)
    )
    device = await replica.handlers.issue_credential(issue(organization.id, expires_at=soon))
    login = AuthenticateDevice(username=device.username, password=device.password)
    assert (await replica.who.device(login)).expires_at == soon

    await asyncio.sleep((soon - datetime.now(UTC)).total_seconds() + 0.01)  # the clock is the event

    with refused("key.invalid"):
        await replica.who.key(Authenticate(secret=key.secret))
    with refused("connect.expired"):
        await replica.who.device(login)
    page = await replica.queries.credentials(ListCredentials(organization=organization.id, actor="k"))
    assert page.items[0].state == "expired"


async def test_a_wrong_secret_is_refused_whatever_its_form(replica: Replica) -> None:
    organization = await replica.organization()
    device = await replica.handlers.issue_credential(issue(organization.id))
    other = await replica.handlers.issue_credential(issue(organization.id))
    for password in (other.password, device.password[:-1] + "!", "", "hmq_dev_", "ü" * 54):
        with refused("connect.unknown"):
            await replica.who.device(AuthenticateDevice(username=device.username, password=password))
    for secret in (device.password, organization.api_key.secret[:-1], "", "hmq_admin_x"):
        with refused("key.invalid"):
            await replica.who.key(Authenticate(secret=secret))
