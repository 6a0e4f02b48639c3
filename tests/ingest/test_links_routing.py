"""A call finds the one replica that owns a link; where nobody owns it, the caller is told at once."""

import asyncio
import time

import pytest

from contracts import subjects
from contracts.broker_topics import TopicFilter
from contracts.failures import Failure, Refused
from contracts.links import GET_STATUS, LinkStatus
from deploy.local.nats import NatsServer
from runtime.rpc import encode
from tests.conftest import MakeMosquitto, RunService
from tests.ingest.conftest import World
from tests.support.eventually import eventually

ALL = (TopicFilter(filter="#"),)


async def test_of_two_replicas_the_owner_answers(
    own_nats: NatsServer, world: World, run_service: RunService, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    replicas = [run_service("ingest", own_nats) for _ in range(2)]
    links = [await world.create(broker.port, topics=ALL) for _ in range(6)]

    async def up(link: str) -> bool:
        try:
            status: LinkStatus = await world.ask_link(GET_STATUS, link)
        except Failure:
            return False
        return status.state == "up"

    for link in links:
        await eventually(lambda link=link: up(link))  # type: ignore[misc]
    before = {link: (await world.ask_link(GET_STATUS, link)).owner for link in links}
    assert [(await world.ask_link(GET_STATUS, link)).integration_id for link in links] == links
    replicas[0].process.kill()
    replicas[1].process.kill()
    begun = time.monotonic()
    with pytest.raises(Failure) as raised:
        await world.ask_link(GET_STATUS, links[0])
    assert raised.value.code == "link.down"
    assert time.monotonic() - begun < 1
    await asyncio.to_thread(replicas[1].start)
    for link in links:
        await eventually(lambda link=link: up(link), timeout_s=20)  # type: ignore[misc]
    after = {(await world.ask_link(GET_STATUS, link)).owner for link in links}
    assert len(after) == 1
    assert not after & set(before.values())
    replicas[1].process.stop()


async def test_what_is_no_id_becomes_no_subject(world: World) -> None:
    for bad in ("*", ">", "a.b", "", "a b", "x" * 65):
        with pytest.raises(Refused) as raised:
            GET_STATUS.at(world.organization, bad)
        assert raised.value.code == "not_found"


async def test_a_request_that_names_another_link_than_its_subject_is_refused(
    own_nats: NatsServer, world: World, run_service: RunService, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    replica = run_service("ingest", own_nats)
    link = await world.create(broker.port, topics=ALL)

    async def up() -> bool:
        return "link.up" in await world.kinds()

    await eventually(up)
    for organization, integration in (("org_other", link), (world.organization, "int_other")):
        asked = GET_STATUS.request(organization=organization, actor="test", integration=integration)
        reply = await world.request(subjects.link_call(world.organization, link, "status"), encode(asked))
        assert reply["failure"]["code"] == "not_found"
    replica.process.stop()
