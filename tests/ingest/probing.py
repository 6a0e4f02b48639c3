"""The connection test by itself, without the service around it."""

from __future__ import annotations

from typing import Any

from contracts.broker_settings import broker_settings
from contracts.broker_topics import TopicFilter
from contracts.connection_test import BOUND_S, ConnectionTested, Step
from deploy.local.ports import LOOPBACK
from services.ingest.network import Network
from services.ingest.policy import PRIVATE, Policy
from services.ingest.probe import Probe
from tests.support.certificates import Certificates

TOPICS = (TopicFilter(filter="plant/#"),)
NEAR = Network(Policy(PRIVATE))
LOGIN: dict[str, Any] = {"username": "bridge", "secrets": {"password": "open sesame"}}


async def probe(
    port: int,
    *,
    topics: tuple[TopicFilter, ...] = TOPICS,
    secrets: dict[str, str] | None = None,
    probe_topic: str | None = None,
    network: Network = NEAR,
    **settings: Any,
) -> ConnectionTested:
    """The result, which must be what was told step by step, and hold together."""
    told: list[Step] = []

    async def tell(step: Step) -> None:
        told.append(step)

    wanted = broker_settings(**{"host": LOOPBACK, "port": port, **settings})
    tested = await Probe(wanted, topics, secrets or {}, network, tell=tell, probe_topic=probe_topic).run()
    assert tuple(told) == tested.steps
    assert tested.ok == all(step.ok for step in tested.steps)
    for step in tested.steps:
        assert step.seen
        assert 0 <= step.duration_ms <= BOUND_S * 1000 + 1000
        assert (step.code is None) == (step.next_action is None) == step.ok
    for secret in (secrets or {}).values():
        assert secret not in tested.model_dump_json()
    return tested


def names(tested: ConnectionTested) -> list[str]:
    return [step.name for step in tested.steps]


def failed(tested: ConnectionTested) -> Step:
    """The one step that failed, and at which the test ended."""
    assert [step.ok for step in tested.steps] == [True] * (len(tested.steps) - 1) + [False], tested
    return tested.steps[-1]


def authority(certificates: Certificates) -> str:
    return certificates.authority.read_text()
