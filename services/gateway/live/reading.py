"""What a message of the log says: decoded as its integration decodes, once for all readers of an organization."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from contracts import messages
from contracts.decoders import Decoded, Message, Presence, State, UnprocessableWithState
from contracts.decoders.choice import Choice
from contracts.failures import Unprocessable
from contracts.messages import StoredMessage
from contracts.topics import device_of
from services.gateway.live.logs import Logged

SENDERS_MAX = 200  # of an organization: whose births are remembered
# What telemetry reads and a live stream cannot: by births before it began, by expressions in confined processes.
UNDECODED = frozenset({"decoder.alias_unknown", "decoder.unavailable"})
Choose = Callable[[str, str, int], Choice]
"""(organization, source, time of storing in ns) → the choice that held then."""


class Read(NamedTuple):
    sequence: int
    stored: StoredMessage
    decoded: Decoded
    presences: list[Presence]
    device: str | None  # that the message is of, where one can be named
    devices: frozenset[str]  # all that it says something of
    failure: str | None = None
    undecoded: str | None = None


class Reading:
    """Of one organization: it remembers what births teach from the moment at which it began."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._states: OrderedDict[tuple[str, str], State] = OrderedDict()

    def read(self, entry: Logged) -> Read:
        stored_at = datetime.fromtimestamp(entry.time_ns / 1e9, UTC)
        stored = messages.stored(entry.subject, entry.headers, entry.data, stored_at)
        decoded, failure, undecoded = self._decoded(
            stored, self._choose(stored.organization, stored.source, entry.time_ns)
        )
        presences = decoded.presences if decoded.presence is None else [decoded.presence, *decoded.presences]
        devices = [sample.device_id for sample in decoded.samples]
        devices += [presence.device_id for presence in presences]
        device = stored.hosted_device or device_of(stored.topic) or (devices[0] if devices else None)
        all_devices = frozenset(devices if device is None else (device, *devices))
        return Read(entry.sequence, stored, decoded, presences, device, all_devices, failure, undecoded)

    def learn(self, other: Reading) -> None:
        """What a reader of history learnt, and those that began later could not."""
        for key, state in other._states.items():
            if key not in self._states and len(self._states) < SENDERS_MAX:
                self._states[key] = state

    def _decoded(self, stored: StoredMessage, choice: Choice) -> tuple[Decoded, str | None, str | None]:
        said = Message(
            stored.topic,
            stored.payload,
            stored.received,
            stored.hosted_device,
            choice.prefix,
            http_device=stored.http_device,
        )
        try:
            if choice.stateful is None:
                return choice.decoder.decode(said, choice.settings), None, None
            return self._decoded_with_state(stored, said, choice), None, None
        except Unprocessable as failure:
            if failure.code in UNDECODED:  # no dead letter: only not known or not done here
                return Decoded(), None, failure.code
            return Decoded(), failure.code, None

    def _decoded_with_state(self, stored: StoredMessage, said: Message, choice: Choice) -> Decoded:
        assert choice.stateful is not None
        sender = choice.stateful.state_key(stored.topic)
        if sender is None:
            return choice.decoder.decode(said, choice.settings)
        key = (stored.source, sender)
        learnt = None
        try:
            decoded = choice.decoder.decode(said._replace(state=self._states.get(key)), choice.settings)
            learnt = decoded.state
        except UnprocessableWithState as failure:
            learnt = failure.state
            raise
        finally:
            if learnt is not None:
                self._states[key] = learnt
                self._states.move_to_end(key)
                if len(self._states) > SENDERS_MAX:
                    self._states.popitem(last=False)
        return decoded
