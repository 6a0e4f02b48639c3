"""Integrations and their secrets: in the vault before the event, gone with the integration."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from pydantic import SecretStr

from contracts import subjects
from contracts.envelope import Cause, Recorded
from contracts.integrations import (
    ChangeIntegration,
    CreateIntegration,
    DeleteIntegration,
    GetIntegration,
    IntegrationView,
    ReadSecret,
)
from contracts.organizations import PLATFORM, DeleteOrganization, List
from runtime.event_log import Append, EventLog
from services.credentials.janitor import tidy
from tests.credentials.parts import ADMIN, MakeReplica, Replica, refused, unique
from tests.support.eventually import eventually


def create(organization: str, name: str = "Plant", **fields: Any) -> CreateIntegration:
    whole = {
        "settings": {"host": "broker.example", "username": "u"},
        "secrets": {"password": "swordfish"},
        **fields,
    }
    return CreateIntegration.model_validate(
        {"organization": organization, "actor": "key:k", "name": name, **whole}
    )


async def reference_of(replica: Replica, organization: str, id: str) -> str:
    events = await replica.log.read(subjects.registry(organization, "integration", id))
    reference: str = events[-1].event.model_dump()["secrets"]["password"]
    return reference


def read(view: IntegrationView, organization: str, reference: str) -> ReadSecret:
    return ReadSecret(organization=organization, integration=view.id, field="password", reference=reference)


class Killed(BaseException):
    """What kill -9 is to the code."""


class DiesBeforeAppending(EventLog):
    async def append(self, appends: Sequence[Append], *, cause: Cause, now: datetime) -> list[Recorded]:
        raise Killed


async def test_the_hosted_one_is_there_from_the_beginning(replica: Replica) -> None:
    organization = await replica.organization()
    page = await replica.queries.integrations(List(organization=organization.id, actor="k"))
    [hosted] = page.items
    assert (hosted.id, hosted.broker_type) == ("hosted", "hosted")
    assert hosted == await replica.queries.integration(
        GetIntegration(organization=organization.id, actor="k", id="hosted")
    )
    with refused("integration.hosted"):
        await replica.integrations.delete(
            DeleteIntegration(organization=organization.id, actor="k", id="hosted")
        )


async def test_a_secret_is_read_by_the_reference_of_the_current_event_alone(replica: Replica) -> None:
    organization = await replica.organization()
    view = await replica.integrations.create(create(organization.id))
    reference = await reference_of(replica, organization.id, view.id)
    assert view.has_secrets == ("password",)

    answer = await replica.integrations.read_secret(read(view, organization.id, reference))

    assert answer.value == SecretStr("swordfish")
    assert "swordfish" not in repr(answer)
    other = await replica.organization()
    for wrong in (
        {"organization": other.id},
        {"integration": "int_other"},
        {"field": "key"},
        {"reference": reference + "0"},
        {"reference": ">"},
    ):
        with refused("not_found"):
            await replica.integrations.read_secret(
                read(view, organization.id, reference).model_copy(update=wrong)
            )


async def test_a_changed_secret_replaces_the_old_one_which_is_erased(replica: Replica) -> None:
    organization = await replica.organization()
    view = await replica.integrations.create(create(organization.id))
    old = await reference_of(replica, organization.id, view.id)

    await replica.integrations.change(
        ChangeIntegration(
            organization=organization.id, actor="k", id=view.id, secrets={"password": SecretStr("new")}
        )
    )

    new = await reference_of(replica, organization.id, view.id)
    assert (await replica.integrations.read_secret(read(view, organization.id, new))).value == SecretStr(
        "new"
    )
    assert await replica.secrets.get(old) is None
    with refused("not_found"):
        await replica.integrations.read_secret(read(view, organization.id, old))


async def test_a_secret_that_is_not_sent_stays(replica: Replica) -> None:
    organization = await replica.organization()
    view = await replica.integrations.create(create(organization.id))
    changed = await replica.integrations.change(
        ChangeIntegration(organization=organization.id, actor="k", id=view.id, name="Renamed")
    )
    assert (changed.name, changed.has_secrets) == ("Renamed", ("password",))
    reference = await reference_of(replica, organization.id, view.id)
    secret = await replica.integrations.read_secret(read(view, organization.id, reference))
    assert secret.value == SecretStr("swordfish")


async def test_a_deleted_integration_is_gone_with_its_secret(replica: Replica) -> None:
    organization = await replica.organization()
    view = await replica.integrations.create(create(organization.id))
    reference = await reference_of(replica, organization.id, view.id)
    assert await replica.secrets.get(reference) is not None

    await replica.integrations.delete(DeleteIntegration(organization=organization.id, actor="k", id=view.id))

    assert await replica.secrets.get(reference) is None
    with refused("not_found"):
        await replica.queries.integration(GetIntegration(organization=organization.id, actor="k", id=view.id))
    with refused("not_found"):
        await replica.integrations.read_secret(read(view, organization.id, reference))


async def test_a_deleted_organizations_secrets_are_erased(replica: Replica) -> None:
    organization = await replica.organization()
    view = await replica.integrations.create(create(organization.id))
    kept_by = await replica.organization()
    kept = await replica.integrations.create(create(kept_by.id))
    reference = await reference_of(replica, organization.id, view.id)
    janitor = asyncio.create_task(tidy(replica.vault, replica.directory))

    await replica.handlers.delete_organization(
        DeleteOrganization(organization=PLATFORM, actor=ADMIN, id=organization.id)
    )

    async def erased() -> bool:
        return await replica.secrets.get(reference) is None

    await eventually(erased)
    janitor.cancel()
    assert await replica.secrets.get(await reference_of(replica, kept_by.id, kept.id)) is not None


async def test_a_name_is_given_once_among_those_that_live(make_replica: MakeReplica) -> None:
    async with make_replica() as one, make_replica() as other:
        organization = await one.organization()
        first = await one.integrations.create(create(organization.id, "Plant"))
        for replica in (one, other):
            with refused("name.taken"):
                await replica.integrations.create(create(organization.id, "plant"))
        second = await other.integrations.create(create(organization.id, "Yard"))
        with refused("name.taken"):
            await one.integrations.change(
                ChangeIntegration(organization=organization.id, actor="k", id=second.id, name="Plant")
            )
        await one.integrations.delete(DeleteIntegration(organization=organization.id, actor="k", id=first.id))
        await other.integrations.create(create(organization.id, "Plant"))


async def test_of_many_with_the_same_name_at_once_one_is_created(replica: Replica) -> None:
    organization = await replica.organization()
    outcomes = await asyncio.gather(
        *(replica.integrations.create(create(organization.id)) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, IntegrationView) for outcome in outcomes) == 1


async def test_killed_before_the_event_a_retry_finishes_it_with_its_secret(make_replica: MakeReplica) -> None:
    async with make_replica() as replica:
        organization = await replica.organization()
        request = create(organization.id, command_id=unique("c"))
        async with make_replica(DiesBeforeAppending) as dying:
            with pytest.raises(Killed):
                await dying.integrations.create(request)

        view = await replica.integrations.create(request)

        assert view == await replica.integrations.create(request)
        reference = await reference_of(replica, organization.id, view.id)
        secret = await replica.integrations.read_secret(read(view, organization.id, reference))
        assert secret.value == SecretStr("swordfish")
        changed = request.model_copy(update={"secrets": {"password": SecretStr("other")}})
        with refused("idempotency.reused"):
            await replica.integrations.create(changed)


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"decoder": {"name": "no-such"}}, "decoder.unknown", "decoder.name"),
        ({"secrets": {"a.b": "x"}}, "request.invalid", "secrets"),
        ({"secrets": {"password": ""}}, "request.invalid", "secrets.password"),
        ({"secrets": {"password": "x" * 9000}}, "request.invalid", "secrets.password"),
    ],
)
async def test_what_cannot_be_is_refused(
    replica: Replica, fields: dict[str, Any], code: str, field: str
) -> None:
    organization = await replica.organization()
    with refused(code) as caught:
        await replica.integrations.create(create(organization.id, **fields))
    assert caught.value.field == field
