"""Refused connects as activity: the first ones of each credential or address, the rest as a number."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from contracts.activity import ActivityRecorded
from contracts.failures import CODES
from contracts.organizations import PLATFORM
from runtime.activity import ActivityLog

SOURCE = "credentials"
WINDOW_S = 60.0
FIRST = 5  # in each window: enough to see what is wrong
KEYS_MAX = 4096  # a flood from more addresses than this is counted together
TEXT_MAX = 64  # of what a stranger sends
TOPIC_MAX = 256
OTHERS = (PLATFORM, "others")


@dataclass(slots=True)
class _Window:
    ends: float
    reason: str
    seen: int = 0
    left_out: int = 0


class Refusals:
    """`run()` is its task."""

    def __init__(self, activity: ActivityLog) -> None:
        self._activity = activity
        self._windows: dict[tuple[str, str], _Window] = {}

    def note(
        self,
        reason: str,
        *,
        organization: str | None,
        credential: str | None,
        username: str,
        client_id: str,
        address: str,
        broker: str | None = None,
        topic: str | None = None,
        detail: str = "",
        only_counted: bool = False,
    ) -> None:
        """`organization` and `credential` are None where the user name names no credential.

        `only_counted`: by its address, as a number, once a window.
        """
        owner = organization or PLATFORM
        key = (owner, address if only_counted else credential or address)
        window = self._windows.get(key)
        if window is None and len(self._windows) >= KEYS_MAX:
            key = OTHERS
            window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(asyncio.get_running_loop().time() + WINDOW_S, reason)
        window.reason = reason
        window.seen += 1
        if only_counted or window.seen > FIRST:
            window.left_out += 1
            return
        details: dict[str, object] = {
            "username": _shown(username),
            "client_id": _shown(client_id),
            "address": _shown(address),
        }
        if broker is not None:
            details["broker"] = broker
        if topic is not None:
            details["topic"] = _shown(topic, TOPIC_MAX)
        summary = f"{CODES[reason].title}: {detail}" if detail else CODES[reason].title
        self._record(owner, credential, reason, summary, details)

    async def run(self) -> None:
        """Says once a window how many were left out; until cancelled, and then of the windows under way."""
        try:
            while True:
                await asyncio.sleep(1.0)
                self._close(asyncio.get_running_loop().time())
        finally:
            self.flush()

    def flush(self) -> None:
        """Closes all windows now."""
        self._close(float("inf"))

    def _close(self, now: float) -> None:
        for key in [key for key, window in self._windows.items() if window.ends <= now]:
            window = self._windows.pop(key)
            if window.left_out:
                owner, who = key
                credential = who if who.startswith("cred_") else None
                summary = f"{window.left_out} more refusals of {who}"
                left_out: dict[str, object] = {"left_out": window.left_out, "from": who}
                self._record(owner, credential, window.reason, summary, left_out)

    def _record(
        self, organization: str, credential: str | None, reason: str, summary: str, details: dict[str, object]
    ) -> None:
        event = ActivityRecorded(
            kind="device.refused",
            status="refused",
            summary=summary,
            subject=f"credential:{credential}" if credential else None,
            reason=reason,
            details=details,
        )
        self._activity.note(organization, event, f"device:{credential}" if credential else SOURCE)


def _shown(text: str, length: int = TEXT_MAX) -> str:
    """Some put their secret where the user name belongs: what looks like one stays out of the log."""
    if "hmq_" in text:
        return "(a secret)"
    return text if len(text) <= length else f"{text[:length]}…"
