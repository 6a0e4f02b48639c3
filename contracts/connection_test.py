"""A connection test: what is asked, what each step saw, and the one thing to do next where one failed."""

from __future__ import annotations

from typing import Literal

from pydantic import SecretStr

from contracts.broker_settings import BrokerSettings
from contracts.broker_topics import TopicFilter
from contracts.calls import CallWithSteps, Model, Request
from contracts.integrations import Topics

BOUND_S = 10.0
"""Over all steps: who tests is looking at the screen."""
StepName = Literal["dns", "address", "tcp", "tls", "websocket", "mqtt", "subscribe", "probe"]


class TestConnection(Request):
    """Tests settings; with `integration`, with the secrets of that saved one where none are sent.

    With `probe_topic` a message is published to it, and must come back.
    """

    settings: BrokerSettings
    secrets: dict[str, SecretStr] = {}
    integration: str | None = None
    topics: Topics = ()
    probe_topic: str | None = None


class Step(Model):
    """`code` (of contracts.failures) and `next_action` are there exactly when it failed.

    There is one step `subscribe` for each filter, with `topic`, and one `probe` where a topic was given.
    """

    name: StepName
    ok: bool
    duration_ms: float
    seen: str
    code: str | None = None
    next_action: str | None = None
    topic: TopicFilter | None = None


class ConnectionTested(Model):
    ok: bool
    steps: tuple[Step, ...]


TEST_CONNECTION = CallWithSteps(
    "command.ingest.test", TestConnection, ConnectionTested, timeout_s=BOUND_S + 2, step=Step
)
