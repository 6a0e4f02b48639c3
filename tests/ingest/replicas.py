"""What tests of several replicas ask."""

from contracts.broker_topics import TopicFilter
from contracts.failures import Failure
from contracts.links import GET_STATUS, LinkStatus
from tests.ingest.conftest import World
from tests.support.eventually import eventually
from tests.support.service import Service

ALL = (TopicFilter(filter="#"),)
WINDOW = {"max_inflight_messages": "500"}


async def status(world: World, link: str) -> LinkStatus | None:
    """None while nobody has it."""
    try:
        found: LinkStatus = await world.ask_link(GET_STATUS, link)
    except Failure:
        return None
    return found


async def until_up(world: World, *links: str, timeout_s: float = 60) -> None:
    for link in links:

        async def up(link: str = link) -> bool:
            found = await status(world, link)
            return found is not None and found.state == "up"

        await eventually(up, timeout_s=timeout_s)


async def owner_of(world: World, link: str, replicas: list[Service]) -> Service:
    """The process that owns a link: the one whose log names the replica."""
    found = await status(world, link)
    assert found is not None
    assert found.owner is not None
    return next(each for each in replicas if found.owner in each.process.log.read_text())
