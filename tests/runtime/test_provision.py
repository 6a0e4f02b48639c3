"""Provisioning: again changes nothing, and what somebody made stronger or larger stays so."""

from collections.abc import Iterator

import pytest

from contracts.streams import ACTIVITY, MESSAGES, REGISTRY, STREAMS
from deploy.local import environment
from deploy.local.nats import NatsServer
from runtime import jetstream
from runtime.provision import merged, provision_stream, scaled, source_attached
from tests.conftest import MakeNats
from tests.runtime.conftest import bus_of
from tests.support.service import run_module


@pytest.fixture(scope="module")
def first_run(make_nats: MakeNats) -> Iterator[NatsServer]:
    """An empty server that was provisioned a moment ago."""
    server = make_nats()
    run_module("runtime.provision", environment.provision(server))
    yield server
    server.stop()


async def test_a_second_run_changes_nothing(first_run: NatsServer) -> None:
    async with bus_of(first_run, "provision") as bus:
        factor = scaled(STREAMS, first_run.storage_bytes * 9 // 10)
        outcomes = [await provision_stream(bus, s, replicas=1, factor=factor) for s in STREAMS]
    assert outcomes == ["unchanged"] * len(STREAMS)


async def test_the_source_is_attached_when_provisioning_ends(first_run: NatsServer) -> None:
    async with bus_of(first_run, "provision") as bus:
        assert await source_attached(bus)


async def test_a_stream_that_an_operator_gave_more_keeps_it(own_nats: NatsServer) -> None:
    async with bus_of(own_nats, "provision") as bus:
        info = "$JS.API.STREAM.INFO.ACTIVITY"
        held = (await jetstream.request(bus.client, info))["config"]
        more = {**held, "max_age": held["max_age"] * 2, "max_bytes": held["max_bytes"] + 1024}
        await jetstream.request(bus.client, "$JS.API.STREAM.UPDATE.ACTIVITY", more)
    # Less room than the streams were made for: by itself the platform would want less.
    room = {"STORAGE_BYTES": str(own_nats.storage_bytes // 4)}
    run_module("runtime.provision", environment.provision(own_nats) | room)
    async with bus_of(own_nats, "provision") as bus:
        now = (await jetstream.request(bus.client, info))["config"]
    assert (now["max_age"], now["max_bytes"]) == (more["max_age"], more["max_bytes"])


def test_limits_only_grow_and_immutability_stays() -> None:
    wanted = ACTIVITY.config()
    assert merged({**wanted, "max_age": 0}, wanted)["max_age"] == 0  # for ever is longer
    assert merged({**wanted, "max_bytes": -1}, wanted)["max_bytes"] == -1
    assert merged({**wanted, "max_bytes": 1}, wanted)["max_bytes"] == ACTIVITY.max_bytes
    assert merged({**wanted, "deny_purge": True}, wanted)["deny_purge"]
    assert merged({**wanted, "num_replicas": 3}, wanted)["num_replicas"] == 3
    assert REGISTRY.config()["deny_delete"]


def test_limits_shrink_together_to_what_the_server_offers() -> None:
    total = sum(stream.max_bytes for stream in STREAMS if stream.max_bytes > 0)
    assert scaled(STREAMS, None) == 1
    assert scaled(STREAMS, total * 2) == 1
    assert abs(scaled(STREAMS, total // 2) - 0.5) < 0.01


def test_every_stream_discards_the_old_never_the_new() -> None:
    # A stream that refuses writes does not hold back an MQTT acknowledgement: it would lose.
    assert {stream.config()["discard"] for stream in STREAMS} == {"old"}
    assert MESSAGES.config()["max_msg_size"] == -1
