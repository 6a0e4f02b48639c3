"""Integrations are paused, resumed and watched: once each, and nobody else's."""

from typing import Any

import pytest

from contracts import subjects
from contracts.integrations import ChangeIntegration, CreateIntegration, DeleteIntegration
from contracts.links import PauseIntegration, ResumeIntegration, WatchIntegration
from services.credentials.link_handlers import LinkHandlers
from tests.credentials.parts import Replica, refused


def create(organization: str) -> CreateIntegration:
    settings = {"host": "broker.example"}
    return CreateIntegration.model_validate(
        {"organization": organization, "actor": "key:k", "name": "Plant", "settings": settings}
    )


@pytest.fixture
def links(replica: Replica) -> LinkHandlers:
    return LinkHandlers(replica.integrations._commands, replica.integrations._registry)


async def test_pausing_and_resuming_are_one_event_each(replica: Replica, links: LinkHandlers) -> None:
    organization = (await replica.organization()).id
    id = (await replica.integrations.create(create(organization))).id
    who: dict[str, Any] = {"organization": organization, "actor": "key:k", "id": id}
    for _ in range(2):
        assert (await links.pause(PauseIntegration(**who))).paused
    changed = await replica.integrations.change(ChangeIntegration(**who, name="Plant 2"))
    assert (changed.paused, changed.name) == (True, "Plant 2")
    for _ in range(2):
        assert not (await links.resume(ResumeIntegration(**who))).paused
    events = await replica.log.read(subjects.registry(organization, "integration", id))
    assert [recorded.event.type for recorded in events] == [
        "integration.created",
        "integration.paused",
        "integration.changed",
        "integration.resumed",
    ]


async def test_an_expected_interval_is_kept_until_it_is_taken_back(
    replica: Replica, links: LinkHandlers
) -> None:
    organization = (await replica.organization()).id
    id = (await replica.integrations.create(create(organization))).id
    who: dict[str, Any] = {"organization": organization, "actor": "key:k", "id": id}
    view = await links.watch(WatchIntegration(**who, expected_interval_s=60))
    assert view.expected_interval_s == 60
    assert (await replica.integrations.change(ChangeIntegration(**who, name="B"))).expected_interval_s == 60
    assert (await links.watch(WatchIntegration(**who))).expected_interval_s is None


async def test_another_tenants_a_deleted_one_and_the_hosted_one_are_refused(
    replica: Replica, links: LinkHandlers
) -> None:
    organization, other = (await replica.organization()).id, (await replica.organization()).id
    id = (await replica.integrations.create(create(organization))).id
    with refused("not_found"):
        await links.pause(PauseIntegration(organization=other, actor="key:o", id=id))
    with refused("integration.hosted"):
        await links.pause(PauseIntegration(organization=organization, actor="key:k", id="hosted"))
    await replica.integrations.delete(DeleteIntegration(organization=organization, actor="key:k", id=id))
    with refused("not_found"):
        await links.resume(ResumeIntegration(organization=organization, actor="key:k", id=id))
