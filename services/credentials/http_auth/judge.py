"""May this device connect, publish, subscribe? One answer for all brokers that ask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from contracts.acl import may_publish
from contracts.failures import Refused
from contracts.topics import check_filter, check_topic, covers, matches
from services.credentials.authentication import REASONS, Authentication
from services.credentials.directory import Directory, Entry
from services.credentials.filters import expanded
from services.credentials.ids import client_id_belongs
from services.credentials.refusals import Refusals
from services.credentials.states.credential import Credential
from services.credentials.views import standing


class Client(NamedTuple):
    """Who the broker asks about; `client_id` is None where it does not say."""

    broker: str
    username: str
    client_id: str | None
    address: str = ""


class Judge:
    """Each of these returns, or raises Refused with the code that stands in activity."""

    def __init__(self, authentication: Authentication, directory: Directory, refusals: Refusals) -> None:
        self._authentication, self._directory, self._refusals = authentication, directory, refusals

    async def connect(self, client: Client, password: str) -> datetime | None:
        """When the credential or the password ends. Raises Unavailable, too."""
        if self._authentication.may_be_new(client.username, password):
            await self._authentication.prepare(client.username, password)
        found = self._authentication.check(client.username, password)
        if found.refused is not None or found.entry is None:
            raise self._refused(found.refused or "connect.unknown", client)
        self._check_client_id(client, found.entry)
        self._authentication.used(found, client.client_id)
        return found.until

    def standing(self, client: Client) -> Entry[Credential]:
        """The credential, which may be connected now."""
        entry = self._authentication.entry(client.username)
        if entry is None:
            raise self._refused("connect.unknown", client)
        if not self._directory.active(entry.organization):
            raise self._refused("connect.revoked", client)
        if code := REASONS.get(standing(entry.state, datetime.now(UTC))):
            raise self._refused(code, client)
        self._check_client_id(client, entry)
        return entry

    def publish(self, client: Client, topic: str) -> None:
        state = self.standing(client).state
        allowed = expanded(state.publish, state.device_id, client.client_id or state.client_id)
        if not _valid_topic(topic) or not may_publish(allowed, topic):
            raise self._refused("topic.forbidden", client, topic)

    def subscribe(self, client: Client, filter: str) -> None:
        """To a whole filter."""
        if not _valid_filter(filter) or not any(covers(held, filter) for held in self._subscribe(client)):
            raise self._refused("filter.forbidden", client, filter)

    def receive(self, client: Client, topic: str) -> None:
        """A message of this topic, for brokers that ask again at each delivery."""
        if not _valid_topic(topic) or not any(matches(held, topic) for held in self._subscribe(client)):
            raise self._refused("filter.forbidden", client, topic)

    def _subscribe(self, client: Client) -> tuple[str, ...]:
        state = self.standing(client).state
        return expanded(state.subscribe, state.device_id, client.client_id or state.client_id)

    def _check_client_id(self, client: Client, entry: Entry[Credential]) -> None:
        if client.client_id is not None and not client_id_belongs(client.client_id, entry.state.client_id):
            raise self._refused("connect.client_id", client)

    def _refused(self, code: str, client: Client, topic: str | None = None) -> Refused:
        entry = self._directory.credentials.by_id.get(client.username)
        self._refusals.note(
            code,
            organization=entry.organization if entry else None,
            credential=entry.id if entry else None,
            username=client.username,
            client_id=client.client_id or "",
            address=client.address,
            broker=client.broker,
            topic=topic,
        )
        return Refused(code)


def _valid_topic(topic: str) -> bool:
    try:
        check_topic(topic)
    except Refused:
        return False
    return True


def _valid_filter(filter: str) -> bool:
    try:
        check_filter(filter)
    except Refused:
        return False
    return True
