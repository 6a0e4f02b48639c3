"""Small stand-ins for credentials, telemetry and ingest: on the real bus, with the real contracts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import SecretStr

from contracts import connection_test, credentials, exports, organizations
from contracts.calls import Call
from contracts.failures import Refused
from contracts.organizations import Principal
from deploy.local.nats import NatsServer
from runtime import rpc
from runtime.bus import Bus, connect
from runtime.settings import BusSettings
from tests.gateway.answers_credentials import CREDENTIALS, authenticate_device
from tests.gateway.answers_ingest import CALLS_TO_WEBHOOKS, INGEST, LINKS, tested
from tests.gateway.answers_integrations import INTEGRATIONS, WEBHOOKS
from tests.gateway.answers_telemetry import TELEMETRY
from tests.gateway.callers import ALPHA, BETA, CREDENTIAL, KEYS, NOW, basic, bearer, principals

__all__ = ["ALPHA", "BETA", "CREDENTIAL", "KEYS", "NOW", "Peers", "basic", "bearer", "started_peers"]


@dataclass
class Peers:
    """What was asked is in `asked`, newest last; `answers` replaces an answer by call subject."""

    buses: dict[str, Bus]
    principals: dict[str, Principal]
    asked: list[Any] = field(default_factory=list)
    answers: dict[str, Callable[[Any], Awaitable[Any]]] = field(default_factory=dict)

    def last(self, kind: type[Any]) -> Any:
        """The newest request of this kind."""
        return next(each for each in reversed(self.asked) if isinstance(each, kind))

    def count(self, kind: type[Any]) -> int:
        return sum(isinstance(each, kind) for each in self.asked)

    def refuse(self, call: Call[Any, Any], failure: Exception) -> None:
        async def answer(_: Any) -> Any:
            raise failure

        self.answers[call.subject] = answer

    def _serve(self, service: str, what: Call[Any, Any], answer: Callable[[Any], Any]) -> None:
        async def handle(request: Any) -> Any:
            self.asked.append(request)
            if replaced := self.answers.get(what.subject):
                return await replaced(request)
            return answer(request)

        rpc.serve(self.buses[service].broker, what, handle, queue=service)

    def serve_all(self) -> None:
        for what, answer in (CREDENTIALS | INTEGRATIONS | WEBHOOKS).items():
            self._serve("credentials", what, answer)
        self._serve("credentials", organizations.AUTHENTICATE, self._authenticate)
        self._serve("credentials", credentials.AUTHENTICATE_DEVICE, authenticate_device)
        for what, answer in TELEMETRY.items():
            self._serve("telemetry", what, answer)
        for what, answer in (INGEST | LINKS | CALLS_TO_WEBHOOKS).items():
            self._serve("ingest", what, answer)
        self._serve_connection_tests()
        self._serve_exports()

    def _serve_exports(self) -> None:
        """Empty ones, where `answers` has no other."""

        async def answer(subject: str, request: Any) -> tuple[exports.ExportPage, bytes]:
            self.asked.append(request)
            if replaced := self.answers.get(subject):
                page: tuple[exports.ExportPage, bytes] = await replaced(request)
                return page
            return exports.ExportPage(position=None, rows=1000), b""

        serve: Any = rpc.serve_bulk  # of two kinds
        for what in (exports.EXPORT_READINGS, exports.EXPORT_ACTIVITY):
            handler = partial(answer, what.subject)
            serve(self.buses["telemetry"].broker, what, handler, queue="telemetry")

    def _serve_connection_tests(self) -> None:
        async def answer(
            request: connection_test.TestConnection, tell: Callable[[connection_test.Step], Awaitable[None]]
        ) -> connection_test.ConnectionTested:
            self.asked.append(request)
            return await tested(request, tell)

        broker = self.buses["ingest"].broker
        rpc.serve_with_steps(broker, connection_test.TEST_CONNECTION, answer, queue="ingest")

    def _authenticate(self, request: organizations.Authenticate) -> Principal:
        try:
            return self.principals[request.secret]
        except KeyError:
            raise Refused("key.invalid", "the key is unknown, expired or revoked") from None


@asynccontextmanager
async def started_peers(server: NatsServer) -> AsyncIterator[Peers]:
    async with AsyncExitStack() as stack:
        buses = {}
        for name in ("credentials", "telemetry", "ingest"):
            settings = BusSettings(nats_url=server.url, nats_seed=SecretStr(server.seeds.platform[name]))
            buses[name] = await connect(settings, name)
            stack.push_async_callback(buses[name].broker.stop)
        peers = Peers(buses, principals())
        peers.serve_all()
        for bus in buses.values():
            await bus.start()
        yield peers
