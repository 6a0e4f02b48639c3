"""Who gets what: each entry is read once for an organization, written once for equal selections."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runtime import pull
from runtime.observe import log as logger
from runtime.observe import meter
from services.gateway.live import position, wire
from services.gateway.live.events import Entry, Said
from services.gateway.live.logs import Log, Logged
from services.gateway.live.position import Place
from services.gateway.live.reader import Reader
from services.gateway.live.reading import Choose, Reading
from services.gateway.live.selection import Selection
from services.gateway.live.wire import Event, Wire

TOGETHER_BYTES_MAX = 128 * 1024
_log = logger(part="live")
_events = meter.create_counter("hybridmq.stream.events", description="Events given to readers of /v1/stream")


class Channel:
    """Readers of one organization that ask for the same, in the same form."""

    def __init__(self, selection: Selection, form: Wire) -> None:
        self.selection, self.form = selection, form
        self.logs = selection.logs
        self.readers: set[Reader] = set()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._places: Mapping[str, Place] = {}

    def add(self, data: bytes, places: Mapping[str, Place]) -> None:
        """For all readers, with what else the batch has for them: a write costs them more than its bytes."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._places = places
        if self._waiting_bytes > TOGETHER_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
            for reader in self.readers:
                reader.offer(data, self._places)
            _events.add(len(self._waiting) * len(self.readers))
            self._waiting, self._waiting_bytes = [], 0


class Feed:
    """An organization that somebody listens to."""

    def __init__(self, choose: Choose) -> None:
        self.reading = Reading(choose)
        self.channels: dict[tuple[Selection, Wire], Channel] = {}


class Hub:
    """Where the tails of the logs hand on what they read."""

    def __init__(self, choose: Choose, reached: Callable[[Log], int]) -> None:
        self._choose, self._reached = choose, reached
        self._feeds: dict[str, Feed] = {}
        self._to_flush: set[Channel] = set()

    def join(self, reader: Reader) -> dict[str, Place]:
        """The reader is offered what comes behind the places that are returned."""
        feed = self._feeds.get(reader.organization)
        if feed is None:
            feed = self._feeds[reader.organization] = Feed(self._choose)
        key = (reader.selection, reader.form)
        feed.channels.setdefault(key, Channel(*key)).readers.add(reader)
        return {log.letter: Place(self._reached(log)) for log in reader.selection.logs}

    def part(self, reader: Reader) -> None:
        feed, key = self._feeds.get(reader.organization), (reader.selection, reader.form)
        if feed is None or (channel := feed.channels.get(key)) is None:
            return
        channel.readers.discard(reader)
        if not channel.readers:
            del feed.channels[key]
        if not feed.channels:
            del self._feeds[reader.organization]

    def learn(self, reader: Reader, reading: Reading) -> None:
        """What its way through history taught."""
        self._feeds[reader.organization].reading.learn(reading)

    def listens(self, log: Log) -> bool:
        return any(log in channel.logs for feed in self._feeds.values() for channel in feed.channels.values())

    def said(self, log: Log, read: pull.Entry) -> None:
        """Is given out with the next `flush`."""
        organization = log.organization(read.subject)
        feed = None if organization is None else self._feeds.get(organization)
        if organization is None or feed is None:
            return
        channels = [channel for channel in feed.channels.values() if log in channel.logs]
        if not channels:
            return
        logged = Logged(read.sequence, read.subject, read.headers, read.data, read.time_ns)
        entry = entry_of(log, logged, organization, feed.reading)
        for channel in channels:
            if entry is not None and (said := entry.events(channel.selection)):
                places = {each.letter: Place(self._reached(each)) for each in channel.logs}
                data = wire.encoded(channel.form, placed(said, log, logged.sequence, places))
                channel.add(data, {**places, log.letter: Place(logged.sequence)})
                self._to_flush.add(channel)

    def flush(self) -> None:
        for channel in self._to_flush:
            channel.flush()
        self._to_flush.clear()

    def missed(self, log: Log, reason: str, after: int, resumes_at: int) -> None:
        """Tells those that listen; who still reads history comes again, and is told then."""
        for feed in list(self._feeds.values()):
            for channel in list(feed.channels.values()):
                if log in channel.logs:
                    places = {each.letter: Place(self._reached(each)) for each in channel.logs}
                    told = gap(log, reason, after, resumes_at, places)
                    data = wire.encoded(channel.form, [told])
                    for reader in channel.readers:
                        if reader.live:
                            reader.offer(data, places)
                        else:
                            reader.end("log")


def entry_of(log: Log, logged: Logged, organization: str, reading: Reading) -> Entry | None:
    """None for what is no message of ours: our own log names it, and everybody else's go on."""
    try:
        return Entry(log, logged, organization, reading)
    except (KeyError, ValueError, IndexError) as error:
        _log.error("an entry cannot be shown", subject=logged.subject, error=repr(error))
        return None


def placed(said: list[Said], log: Log, sequence: int, places: Mapping[str, Place]) -> list[Event]:
    """With their ids: behind the last one is behind the entry."""
    last = len(said) - 1
    return [
        Event(
            position.shown(
                {**places, log.letter: Place(sequence) if index == last else Place(sequence - 1, index + 1)}
            ),
            event,
            data,
        )
        for index, (event, data) in enumerate(said)
    ]


def gap(log: Log, reason: str, after: int, resumes_at: int, places: Mapping[str, Place]) -> Event:
    return Event(position.shown(places), "gap", wire.gap(log.name, reason, after, resumes_at))
