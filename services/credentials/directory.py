"""The read side: everything that the REGISTRY says, in memory, by organization; rebuilt at every start."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Generic

from nats.aio.client import Client

from contracts import subjects, upcasts
from contracts.alert_rules import LINKS
from contracts.credentials import CredentialImported, CredentialRotated
from contracts.envelope import Recorded
from contracts.failures import Unavailable, Unprocessable
from contracts.organizations import ApiKeyIssued
from contracts.streams import REGISTRY
from contracts.subjects import HOSTED, Entity
from runtime import jetstream
from runtime.observe import log
from runtime.pull import Entry as Stored
from runtime.pull import Pull
from services.credentials.lifecycle import narrowed
from services.credentials.states.alert_rule import BUILT_IN_RULE, AlertRuleState
from services.credentials.states.base import StateT
from services.credentials.states.credential import Credential
from services.credentials.states.integration import HostedIntegration, Integration, Redecode
from services.credentials.states.keys import AdminKey, ApiKey
from services.credentials.states.organization import Organization
from services.credentials.states.said import Device, Metric
from services.credentials.states.webhook import Webhook

_log = log(part="directory")
BATCH = 2000
QUIET_S = 5.0  # after so long without an event, look whether the stream is still the same
RETRY_S = 0.25
CATCH_UP_S = 2.0  # a caller waits no longer
CATCH_UP_EVERY_S = 0.02  # however many ask, so many questions a second go to the server and no more

NEVER = datetime.min.replace(tzinfo=UTC)
Listener = Callable[[Entity, Recorded], None]


@dataclass(slots=True)
class Entry(Generic[StateT]):
    """One entity; `first` and `last` are its events' sequences."""

    organization: str
    id: str
    created_at: datetime
    first: int
    last: int
    state: StateT
    # Connections that began earlier than these hold no longer; in the server's own time, as they say theirs.
    narrowed_at: datetime = NEVER
    rotated_at: datetime = NEVER
    cut: int = 0  # sequence of the last event that narrowed or rotated


@dataclass(slots=True)
class Table(Generic[StateT]):
    """Entities of one kind: by id, and by organization in the order of their creation."""

    empty: StateT
    by_id: dict[str, Entry[StateT]] = field(default_factory=dict)
    by_organization: dict[str, list[Entry[StateT]]] = field(default_factory=dict)

    def get(self, organization: str, id: str) -> Entry[StateT] | None:
        """None also for what another organization has."""
        entry = self.by_id.get(id)
        return entry if entry is not None and entry.organization == organization else None

    def apply(self, entity: Entity, recorded: Recorded) -> Entry[StateT]:
        entry = self.by_id.get(entity.id)
        if entry is None:
            entry = Entry(
                entity.organization,
                entity.id,
                recorded.time,
                recorded.sequence,
                recorded.sequence,
                self.empty,
            )
            self.by_id[entity.id] = entry
            self.by_organization.setdefault(entity.organization, []).append(entry)
        entry.state = entry.state.evolve(recorded.event)
        entry.last = recorded.sequence
        return entry

    def beside(self, organization: str, sequence: int, *, newest: bool) -> Iterator[Entry[StateT]]:
        """Those created after this sequence, oldest first; or before it (0: all), newest first."""
        entries = self.by_organization.get(organization, [])
        if not newest:
            start = bisect_right(entries, sequence, key=lambda entry: entry.first)
            return islice(entries, start, None)
        end = bisect_left(entries, sequence, key=lambda entry: entry.first) if sequence else len(entries)
        return (entries[index] for index in range(end - 1, -1, -1))

    def after(self, organization: str, sequence: int) -> list[Entry[StateT]]:
        """Those created after this sequence, oldest first."""
        entries = self.by_organization.get(organization, [])
        return entries[bisect_right(entries, sequence, key=lambda entry: entry.first) :]


class Directory:
    """`follow()` is its task; commands wait for `applied(sequence)` and so see what they wrote."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.organizations = Table(Organization())
        self.api_keys = Table(ApiKey())
        self.admin_keys = Table(AdminKey())
        self.credentials = Table(Credential())
        self.integrations = Table(Integration())
        self.redecodes = Table(Redecode())
        self.metrics = Table(Metric())
        self.devices = Table(Device())
        self.webhooks = Table(Webhook())
        self.hosted = Table(HostedIntegration())  # by organization: the id `hosted` is everybody's
        self.alert_rules = Table(AlertRuleState())
        self.built_in_rules = Table(BUILT_IN_RULE)  # by organization, too
        # kinds of which nothing is noted but what they are
        self._plain: dict[str, Table[Any]] = {
            "organization": self.organizations,
            "admin-key": self.admin_keys,
            "redecode": self.redecodes,
            "metric": self.metrics,
            "device": self.devices,
            "webhook": self.webhooks,
            "alert-rule": self.alert_rules,
        }
        self.credential_by_username: dict[str, str] = {}  # of those that were imported
        self.key_by_verifier: dict[str, str] = {}
        self.sequence = 0
        self._epoch: str | None = None
        self._target: int | None = None  # the log's end at the start
        self._listeners: list[Listener] = []
        self._progress = asyncio.Event()
        self._flight: asyncio.Task[None] | None = None
        self._flight_began = False

    def listen(self, listener: Listener) -> None:
        """Called with every event as it is applied, from the first one on."""
        self._listeners.append(listener)

    @property
    def caught_up(self) -> bool:
        """Whether everything that stood in the log at the start has been applied."""
        return self._target is not None and self.sequence >= self._target

    def active(self, organization: str) -> bool:
        entry = self.organizations.by_id.get(organization)
        return entry is not None and entry.state.status == "active"

    async def follow(self) -> None:
        """Reads the log from its beginning until cancelled; ends with RuntimeError when it is another log."""
        pull = Pull(self._client, REGISTRY.name, start=1, name="directory")
        while True:
            try:
                if self._target is None:
                    self._target = await self._end_of_log()
                    self._wake()
                entries = await pull.next_batch(BATCH, timeout_s=QUIET_S)
                if not entries:
                    await self._end_of_log()
            except Unavailable as error:
                _log.warning("the registry cannot be read", error=error.detail)
                await asyncio.sleep(RETRY_S)
                continue
            for entry in entries:
                self._apply(entry)
            self._wake()

    async def applied(self, sequence: int, *, timeout_s: float = CATCH_UP_S) -> None:
        """Returns once the event of this sequence is applied. Raises Unavailable after `timeout_s`."""
        await self._wait(lambda: self.sequence >= sequence, timeout_s)

    async def started(self, *, timeout_s: float) -> None:
        """Returns once `caught_up`. Raises Unavailable after `timeout_s`."""
        await self._wait(lambda: self.caught_up, timeout_s)

    async def catch_up(self) -> None:
        """Returns once everything is applied that any replica had written when this was called.

        All who ask at the same time share one question to the server. Raises Unavailable.
        """
        flight = self._flight
        if flight is None or flight.done() or self._flight_began:
            previous = flight if flight is not None and not flight.done() else None
            self._flight_began = False
            flight = self._flight = asyncio.create_task(self._fly(previous), name="catch up")
        await asyncio.shield(flight)

    async def _fly(self, previous: asyncio.Task[None] | None) -> None:
        if previous is not None:
            await asyncio.wait([previous])
        await asyncio.sleep(CATCH_UP_EVERY_S)
        self._flight_began = True  # who comes from here on needs the next one
        await self.applied(await self._end_of_log())

    async def _wait(self, reached: Callable[[], bool], timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not reached():
                    await self._progress.wait()
        except TimeoutError:
            raise Unavailable("log.unavailable", "the registry cannot be read at the moment") from None

    def _wake(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()

    async def _end_of_log(self) -> int:
        reached = self.sequence  # now: what is applied while the server answers is not in its answer
        state = await jetstream.stream_state(self._client, REGISTRY.name)
        if self._epoch is None:
            self._epoch = state.created
        if state.created != self._epoch or state.last < reached:
            raise RuntimeError("the registry was replaced or restored: start again from its beginning")
        return state.last

    def _apply(self, entry: Stored) -> None:
        subject, sequence = entry.subject, entry.sequence
        try:
            recorded = upcasts.decode(entry.headers, entry.data, subject=subject, sequence=sequence)
        except Unprocessable as failure:
            # One unreadable event must not keep every tenant out; it is loud, and its entity stays as it was.
            _log.error("an event of the registry cannot be read", error=failure.detail)
            recorded = None
        if recorded is not None:
            entity = subjects.entity(subject)
            self._place(entity, recorded, datetime.fromtimestamp(entry.time_ns / 1e9, UTC))
            for listener in self._listeners:
                listener(entity, recorded)
        self.sequence = sequence

    def _place(self, entity: Entity, recorded: Recorded, stored_at: datetime) -> None:
        match entity.kind:
            case "api-key":
                self.api_keys.apply(entity, recorded)
                if isinstance(recorded.event, ApiKeyIssued):
                    self.key_by_verifier[recorded.event.verifier] = entity.id
            case "credential":
                held = self.credentials.by_id.get(entity.id)
                before = held.state if held is not None else None
                credential = self.credentials.apply(entity, recorded)
                if before is not None and narrowed(before, credential.state):
                    credential.narrowed_at, credential.cut = stored_at, recorded.sequence
                if isinstance(recorded.event, CredentialImported):
                    self.credential_by_username[recorded.event.username] = entity.id
                if isinstance(recorded.event, CredentialRotated):
                    credential.rotated_at, credential.cut = stored_at, recorded.sequence
            case "integration" if entity.id == HOSTED:
                self.hosted.apply(entity._replace(id=entity.organization), recorded)
            case "integration":
                self.integrations.apply(entity, recorded)
            case "alert-rule" if entity.id == LINKS:
                self.built_in_rules.apply(entity._replace(id=entity.organization), recorded)
            case kind if kind in self._plain:
                self._plain[kind].apply(entity, recorded)
