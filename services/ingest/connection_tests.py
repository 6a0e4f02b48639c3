"""Answers connection tests: with the secrets that they need, and so many at once."""

from __future__ import annotations

from collections import Counter

from contracts.activity import ActivityRecorded
from contracts.broker_secrets import secrets_allowed
from contracts.broker_topics import default_topics
from contracts.connection_test import ConnectionTested, TestConnection
from contracts.failures import Refused
from runtime.activity import ActivityLog
from runtime.bus import Bus
from services.ingest import secrets
from services.ingest.links import Key
from services.ingest.manager import Manager
from services.ingest.network import Network
from services.ingest.probe import Probe
from services.ingest.probe_steps import Tell

SUMMARY_CHARS_MAX = 300
PER_ORGANIZATION_MAX = 4  # at once in one process, each for up to ten seconds: nobody takes all the places


class ConnectionTests:
    def __init__(self, bus: Bus, manager: Manager, network: Network, activity: ActivityLog) -> None:
        self._bus, self._manager, self._network = bus, manager, network
        self._activity = activity
        self._under_way: Counter[str] = Counter()

    async def test(self, request: TestConnection, tell: Tell) -> ConnectionTested:
        """Raises Refused("limit.reached"), and what reading a secret raises."""
        organization = request.organization
        if self._under_way[organization] >= PER_ORGANIZATION_MAX:
            detail = f"{PER_ORGANIZATION_MAX} connection tests are under way; try again when one has ended"
            raise Refused("limit.reached", detail)
        self._under_way[organization] += 1
        try:
            probe = Probe(
                request.settings,
                request.topics or default_topics(request.settings),
                await self._secrets(request),
                self._network,
                tell=tell,
                probe_topic=request.probe_topic,
            )
            tested = await probe.run()
            self._note(request, tested)
            return tested
        finally:
            self._under_way[organization] -= 1
            self._under_way += Counter()  # drops the zeros

    def _note(self, request: TestConnection, tested: ConnectionTested) -> None:
        wrong = next((step for step in tested.steps if not step.ok), None)
        settings = request.settings
        event = ActivityRecorded(
            kind="integration.tested",
            status="ok" if tested.ok else "failed",
            summary="" if wrong is None else f"{wrong.name}: {wrong.seen}"[:SUMMARY_CHARS_MAX],
            subject=None if request.integration is None else f"integration:{request.integration}",
            reason=None if wrong is None else wrong.code,
            duration_ms=round(sum(step.duration_ms for step in tested.steps), 1),
            details={"protocol": settings.protocol, "host": settings.host, "port": settings.port},
        )
        self._activity.note(request.organization, event, request.actor)

    async def _secrets(self, request: TestConnection) -> dict[str, str]:
        """What the caller sent; for the rest of what these settings take, what the saved integration holds."""
        sent = {name: secret.get_secret_value() for name, secret in request.secrets.items()}
        if request.integration is None:
            return sent
        wanted = await self._manager.wanted(Key(request.organization, request.integration))
        missing = set(secrets_allowed(request.settings)) - set(sent)
        held = {name: reference for name, reference in wanted.secrets.items() if name in missing}
        return {**await secrets.read(self._bus, wanted.key, held), **sent}
