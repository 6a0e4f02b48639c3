"""Credentials for a fleet: many in one append, each wish with its own outcome, the same again when asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from contracts.credentials import AuthenticateDevice, ListCredentials
from contracts.credentials_bulk import CheckCredentials, CredentialWish, IssueCredentials
from services.credentials.bulk import BulkHandlers
from services.credentials.handlers import Registry
from services.credentials.hashing import Hashing
from services.credentials.hosted import AskingBroker
from tests.credentials.parts import HASH_KEY, MakeReplica, Replica, refused, unique


def handlers(replica: Replica) -> BulkHandlers:
    registry = Registry(replica.log, replica.directory)
    return BulkHandlers(replica.handlers._commands, registry, Hashing(HASH_KEY), AskingBroker())


def request(organization: str, *wishes: CredentialWish, command_id: str | None = None) -> IssueCredentials:
    return IssueCredentials(organization=organization, actor="key:k", wishes=wishes, command_id=command_id)


async def test_what_may_be_is_issued_and_what_may_not_says_why(replica: Replica) -> None:
    organization = (await replica.organization()).id
    past = datetime.now(UTC) - timedelta(days=1)
    answer = await handlers(replica).issue(
        request(
            organization,
            CredentialWish(device_id="d1"),
            CredentialWish(publish=("elsewhere/#",)),
            CredentialWish(expires_at=past),
            CredentialWish(name="pump"),
        )
    )
    first, outside, expired, last = answer.outcomes
    assert outside.failure is not None
    assert expired.failure is not None
    assert (outside.failure["code"], expired.failure["code"]) == ("acl.outside", "expiry.past")
    for outcome in (first, last):
        assert outcome.credential is not None
        login = AuthenticateDevice(username=outcome.credential.username, password=outcome.credential.password)
        assert (await replica.who.device(login)).organization == organization
    page = await replica.queries.credentials(ListCredentials(organization=organization, actor="k"))
    assert len(page.items) == 2


async def test_the_same_again_issues_nothing_new(make_replica: MakeReplica) -> None:
    async with make_replica() as one, make_replica() as other:
        organization = (await one.organization()).id
        wishes = [CredentialWish(device_id=f"d{number}") for number in range(100)]
        asked = request(organization, *wishes, command_id=unique("c"))
        first = await handlers(one).issue(asked)
        assert await handlers(other).issue(asked) == first
        page = await other.queries.credentials(
            ListCredentials(organization=organization, actor="k", limit=1000)
        )
        assert len(page.items) == 100
        with refused("idempotency.reused"):
            await handlers(one).issue(request(organization, *wishes[1:], command_id=asked.command_id))


async def test_wishes_full_of_filters_fit(replica: Replica) -> None:
    organization = (await replica.organization()).id
    filters = tuple(f"devices/{'x' * 590}{number}/#" for number in range(50))
    answer = await handlers(replica).issue(
        request(organization, CredentialWish(publish=filters), command_id=unique("c"))
    )
    assert answer.outcomes[0].credential is not None


async def test_a_check_says_what_issuing_would_and_issues_nothing(replica: Replica) -> None:
    organization = (await replica.organization()).id
    wishes = (
        CredentialWish(device_id="d1"),
        CredentialWish(publish=("elsewhere/#",)),
        CredentialWish.model_validate({"username": "pump", "password": "hunter2-hunter2", "name": "Pump"}),
        CredentialWish.model_validate({"username": "pump", "password": "hunter2-hunter2"}),
        CredentialWish(expires_at=datetime.now(UTC) - timedelta(days=1)),
    )
    check = CheckCredentials(organization=organization, actor="key:k", wishes=wishes)
    checked = (await handlers(replica).check(check)).outcomes
    everything = ListCredentials(organization=organization, actor="k")
    assert (await replica.queries.credentials(everything)).items == []
    issued = (await handlers(replica).issue(request(organization, *wishes))).outcomes
    for would, did in zip(checked, issued, strict=True):
        assert would.failure == did.failure
        assert (would.credential is None) == (did.credential is None)
        if would.credential is not None and did.credential is not None:
            said = would.credential.model_dump(exclude={"name", "username"})
            assert said == did.credential.model_dump(include=set(said))
    assert checked[2].credential is not None
    assert (checked[2].credential.name, checked[2].credential.username) == ("Pump", f"{organization}:pump")
    again = (await handlers(replica).check(check)).outcomes
    assert again[2].failure is not None, "the name is taken by now"
    assert again[2].failure["code"] == "name.taken"
