"""Devices that come and go, from the broker's notices on `$SYS/broker/log/N`: text is all it gives.

No counts and no reasons, and a refused connect names nobody. Client ids here are the issued ones and no others
(the broker checks that), so a line that a stranger's client id was made for is not mistaken for one of ours.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from datetime import UTC, datetime

from contracts.activity import ActivityRecorded
from runtime.activity import ActivityLog
from services.credentials.directory import Directory

_STAMP = r"(?:(?P<at>\d+): )?"
_CONNECTED = re.compile(
    _STAMP + r"New client connected from (?P<address>[0-9a-f.:]+?)(?::\d+)? as (?P<client>[a-z0-9]{16})"
    r" \((?P<protocol>p\d), .*u'(?P<user>cred_[a-z0-9]{16})'\)\."
)
_ENDED = re.compile(
    _STAMP + r"Client (?P<client>[a-z0-9]{16})(?: \[[^\]]*\])? (?P<how>disconnected|closed its connection|"
    r"has exceeded timeout, disconnecting|already connected, closing old connection"
    r"|been disconnected by administrative action)\."
)
_PROTOCOLS = {"p1": "mqtt 3.1", "p2": "mqtt 3.1.1", "p5": "mqtt 5"}
LIVE_MAX = 100_000


class Presence:
    """Called with each notice; every replica notes it, by the same id."""

    def __init__(self, directory: Directory, activity: ActivityLog) -> None:
        self._directory, self._activity = directory, activity
        self._live: OrderedDict[str, str] = OrderedDict()  # client id → credential, as far as heard

    def __call__(self, line: str) -> None:
        if found := _CONNECTED.fullmatch(line):
            self._live[found["client"]] = found["user"]
            if len(self._live) > LIVE_MAX:
                self._live.popitem(last=False)
            details = {
                "client_id": found["client"],
                "address": found["address"],
                "protocol": _PROTOCOLS.get(found["protocol"], found["protocol"]),
            }
            self._note(line, found, found["user"], "device.connected", "", details)
        elif found := _ENDED.fullmatch(line):
            credential = self._live.pop(found["client"], None)
            if credential is not None:
                details = {"client_id": found["client"]}
                self._note(line, found, credential, "device.disconnected", found["how"], details)

    def _note(
        self,
        line: str,
        found: re.Match[str],
        credential: str,
        kind: str,
        summary: str,
        details: dict[str, str],
    ) -> None:
        entry = self._directory.credentials.by_id.get(credential)
        if entry is None:
            return
        at = datetime.fromtimestamp(int(found["at"]), UTC) if found["at"] else None
        event = ActivityRecorded(
            kind=kind,
            summary=summary,
            subject=f"credential:{entry.id}",
            device_id=entry.state.device_id,
            details=dict(details),
        )
        id = hashlib.sha256(line.encode()).hexdigest()[:32] if at else None
        self._activity.note(entry.organization, event, f"device:{entry.id}", id=id, at=at)
