"""A call finds the one replica that owns a link; where nobody owns it, the caller is told at once."""

import asyncio
import re
import time

import pytest

from contracts import subjects
from contracts.broker_topics import TopicFilter
from contracts.failures import Failure, Refused
from contracts.links import GET_STATUS
from deploy.local.nats import NatsServer
from runtime.rpc import encode
from services.ingest import shares
from services.ingest.links import Key
from tests.conftest import MakeMosquitto, RunService
from tests.ingest.conftest import World
from tests.support.eventually import eventually
from tests.support.service import Service

ALL = (TopicFilter(filter="#"),)


def replica_id(replica: Service) -> str:
    """As it says at its start."""
    [id] = set(re.findall(r"\bingest-[0-9a-f]{12}\b", replica.process.log.read_text()))
    return str(id)


async def test_of_two_replicas_the_owner_answers(
    own_nats: NatsServer, world: World, run_service: RunService, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    replicas = [run_service("ingest", own_nats) for _ in range(2)]
    links = [await world.create(broker.port, topics=ALL) for _ in range(6)]

    async def owners() -> dict[str, str | None]:
        """Of all links, each up; none while one of them has no owner or changes hands."""
        try:
            held = {link: await world.ask_link(GET_STATUS, link) for link in links}
        except Failure:
            return {}
        assert [status.integration_id for status in held.values()] == links
        up = all(status.state == "up" for status in held.values())
        return {link: status.owner for link, status in held.items()} if up else {}

    ids = [replica_id(replica) for replica in replicas]
    chosen = {link: shares.first_choice(Key(world.organization, link), ids) for link in links}

    async def shared_out() -> bool:
        # Who begins while the other is not seen yet takes all, and gives some away when it has settled.
        return await owners() == chosen

    await eventually(shared_out, timeout_s=60)
    replicas[0].process.kill()
    replicas[1].process.kill()

    async def told_at_once() -> bool:
        begun = time.monotonic()
        with pytest.raises(Failure) as raised:
            await world.ask_link(GET_STATUS, links[0])
        return raised.value.code == "link.down" and time.monotonic() - begun < 1

    await eventually(told_at_once)  # as soon as the server has seen that their connections are closed
    await asyncio.to_thread(replicas[1].start)
    after = await eventually(owners, timeout_s=60)
    assert len(set(after.values())) == 1
    assert not set(after.values()) & set(ids)
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
