import asyncio
import random
import string

import nats
from nats.js.api import StreamConfig, SubjectTransform

from contracts.partition import partition
from contracts.topics import to_subject

LETTERS = string.ascii_letters + string.digits + "_.:@-äß漢"


def test_a_partition_is_the_one_that_the_server_computes(plain_server: tuple[str, int]) -> None:
    draw = random.Random(1)
    pairs = [
        (f"org_{draw.getrandbits(64):016x}", "".join(draw.choices(LETTERS, k=draw.randint(1, 40))))
        for _ in range(300)
    ]
    stored = asyncio.run(_transformed(plain_server, pairs))
    assert [partition(organization, device, 8) for organization, device in pairs] == stored
    assert set(stored) == set(range(8))


def test_a_device_may_be_given_as_mqtt_or_as_the_subject_spells_it() -> None:
    assert partition("org_a", "pump.7") == partition("org_a", "pump//7")


async def _transformed(server: tuple[str, int], pairs: list[tuple[str, str]]) -> list[int]:
    """What a stream's subject transform makes of each pair."""
    connection = await nats.connect(server[0])
    context = connection.jetstream()
    await context.add_stream(
        StreamConfig(
            name="PARTITIONED",
            subjects=["up.*.devices.*"],
            subject_transform=SubjectTransform(
                src="up.*.devices.*", dest="{{partition(8,1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}"
            ),
        )
    )
    numbers = []
    for organization, device in pairs:
        stored = await context.publish(f"up.{organization}.devices.{to_subject(device)}", b"")
        message = await context.get_msg("PARTITIONED", stored.seq)
        numbers.append(int((message.subject or "").split(".")[0]))
    await context.delete_stream("PARTITIONED")
    await connection.close()
    return numbers
