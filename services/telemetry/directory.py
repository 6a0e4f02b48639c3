"""How an organization's messages are read, at any time (decoder, payload limit), and what people say of metrics:
the REGISTRY, held in memory."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from nats.aio.client import Client

from contracts import subjects
from contracts.decoders.choice import SETTLES_NS, Choice, Choices
from contracts.envelope import Recorded
from contracts.integrations import DecoderChoice
from contracts.limits import OrganizationLimitsChanged
from contracts.retention import OrganizationRetentionChanged, Retention
from contracts.streams import PAYLOAD_BYTES_MAX
from runtime import registry
from runtime.observe import log
from runtime.pull import Entry
from services.telemetry.alerting.rules import Rules
from services.telemetry.decoding import Choose, Read
from services.telemetry.described import Described
from services.telemetry.erased import Erased
from services.telemetry.redecode_orders import Order, Orders
from services.telemetry.sandbox.expressions import decode_ahead, uses_expression
from services.telemetry.sandbox.pool import Pool

_log = log(part="directory")
_KINDS: tuple[subjects.EntityKind, ...] = (
    "integration",
    "organization",
    "redecode",
    "metric",
    "device",
    "alert-rule",
)
PATIENCE_S = 3.0  # an event and a message of the same moment come by two ways


class _PayloadLimits(NamedTuple):
    times: list[int]  # from when each holds, in the order of the log
    payload_bytes: list[int]


class Directory:
    """`run()` is its task: reads these events from the beginning, and follows them."""

    def __init__(self, client: Client, expressions: Pool | None = None) -> None:
        self._client = client
        self._expressions = expressions
        self._held = Choices()
        self.orders = Orders()  # history that is to be read by another decoder
        self.described = Described()
        self.erased = Erased()
        self.rules = Rules()  # of alerts
        self.retentions: dict[str, Retention] = {}  # of organizations that chose
        self.on_retention: Callable[[], None] | None = None
        self.on_order: Callable[[Order], None] | None = None
        self.on_erasure: Callable[[], None] | None = None
        self._uses_expressions = False  # whether any of them ever did
        self._given_up: set[tuple[str, str]] = set()
        self._limits: dict[str, _PayloadLimits] = {}  # of organizations that were ever given one
        self._changed = asyncio.Event()
        self.complete = asyncio.Event()

    def choose(self, organization: str, source: str, at_ns: int) -> Choice:
        choice = self._held.choose(organization, source, at_ns)
        choice = self.orders.choose(organization, source, at_ns, choice)
        limits = self._limits.get(organization)
        if limits is None:
            return choice
        held = bisect_right(limits.times, at_ns) - 1
        return choice if held < 0 else choice._replace(payload_bytes_max=limits.payload_bytes[held])

    def now(self, organization: str, source: str) -> DecoderChoice:
        """The decoder that holds from now on, as whoever chose it said."""
        choice = self._held.choose(organization, source, time.time_ns() + 2 * SETTLES_NS)
        settings = choice.settings.model_dump(mode="json", exclude_defaults=True)
        return DecoderChoice(name=choice.decoder.name, settings=settings)

    async def ahead(
        self, entries: Sequence[Entry], choose: Choose | None = None, *, patient: bool = False
    ) -> dict[int, Read]:
        """What expressions read in these, by sequence, for `project`; empty where none is used."""
        if self._expressions is None or (choose is None and not self._uses_expressions):
            return {}
        return await decode_ahead(self._expressions, entries, choose or self.choose, patient=patient)

    @property
    def has_stateful(self) -> bool:
        """Whether any decoder ever chosen keeps states."""
        return self._held.stateful or self.orders.stateful

    async def know(self, sources: set[tuple[str, str]]) -> None:
        """Waits a moment for those that are not known yet; one that never comes is decoded by the default."""
        await self.complete.wait()
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (
                    unknown := {source for source in sources if not self._held.known(*source)}
                    - self._given_up
                ):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            _log.error("integrations that the registry does not know", integrations=sorted(unknown))
            self._given_up |= unknown

    async def run(self) -> None:
        await registry.follow(self._client, "telemetry-registry", _KINDS, self._apply, self._settled)

    def _settled(self) -> None:
        self.complete.set()
        self._changed.set()

    def _apply(self, entry: Entry, recorded: Recorded) -> None:
        organization, _, id = subjects.entity(entry.subject)
        event = recorded.event
        if isinstance(event, OrganizationLimitsChanged):
            wanted = event.limits.payload_bytes or PAYLOAD_BYTES_MAX
            limits = self._limits.setdefault(organization, _PayloadLimits([], []))
            limits.times.append(entry.time_ns)
            limits.payload_bytes.append(min(wanted, PAYLOAD_BYTES_MAX))
            return
        if isinstance(event, OrganizationRetentionChanged):
            self.retentions[organization] = event.retention
            if self.on_retention is not None:
                self.on_retention()
            return
        if self.described.apply(organization, event):
            return
        if self.erased.apply(organization, event, entry.time_ns) and self.on_erasure:
            self.on_erasure()  # and its tags go
        if self.rules.apply(organization, id, event, entry.sequence, recorded.time):
            return
        order = self.orders.apply(organization, id, event, recorded.time)
        if order is not None:
            self._uses_expressions |= uses_expression(order.choice.settings)
            if self.on_order is not None:
                self.on_order(order)
            return
        choice = self._held.apply(organization, id, event, entry.time_ns)
        if choice is not None:
            self._uses_expressions |= uses_expression(choice.settings)
            self._look_late(entry, choice)

    def _look_late(self, entry: Entry, choice: Choice) -> None:
        """One that comes to know later than it holds: messages in between were read by the one before."""
        late_ns = time.time_ns() - entry.time_ns
        if self.complete.is_set() and late_ns > SETTLES_NS:
            _log.warning(
                "a change of decoder came late",
                subject=entry.subject,
                decoder=choice.origin.name,
                late_ns=late_ns,
            )
