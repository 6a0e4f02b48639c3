"""One open stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from contracts.organizations import Principal
from services.gateway.auth import Secret
from services.gateway.live.position import Place
from services.gateway.live.selection import Selection
from services.gateway.live.socket import Socket
from services.gateway.live.wire import Wire

Places = Mapping[str, Place]
WAITING_BYTES_MAX = 512 * 1024
"""Held for a reader beyond what the operating system holds: the longest event, and a second of a busy tenant."""


class Reader:
    def __init__(
        self, principal: Principal, secret: Secret, selection: Selection, after: Places | None
    ) -> None:
        self.principal, self.secret, self.selection = principal, secret, selection
        self.places = after
        """Behind which it has everything; None: it begins now. Never changed in place: others have the same."""
        self.form = Wire.CHUNKS
        self.recheck = asyncio.Event()
        self.ended = asyncio.Event()
        self.why = ""
        self.wrote_at = 0.0
        self.written = 0
        self._socket: Socket | None = None
        self._held: (
            list[tuple[bytes, Places]] | None
        ) = []  # what comes while it reads history; None: it is live
        self._held_bytes = 0
        self.behind = asyncio.Event()
        """More came than it took, or than is held for it: history has it."""

    @property
    def organization(self) -> str:
        return self.principal.organization

    @property
    def live(self) -> bool:
        return self._held is None

    @property
    def socket(self) -> Socket:
        assert self._socket is not None, "its answer has not begun"
        return self._socket

    def begin(self, socket: Socket, form: Wire) -> None:
        self._socket, self.form = socket, form

    def end(self, why: str) -> None:
        """Whoever serves it says so, and closes."""
        if not self.ended.is_set():
            self.why = why
            self.ended.set()

    def write(self, data: bytes) -> None:
        self.socket.write(data)
        self.written += len(data)
        self.wrote_at = time.monotonic()

    def offer(self, data: bytes, places: Places) -> None:
        """What the tails have for it, and where it then is: written, or held back while it reads history."""
        if self.ended.is_set() or self.behind.is_set():
            return
        if self._held is None:
            if self.socket.waiting_bytes > WAITING_BYTES_MAX:
                self.behind.set()
            else:
                self.write(data)
                self.places = places
            return
        self._held.append((data, places))
        self._held_bytes += len(data)
        if self._held_bytes > WAITING_BYTES_MAX:
            self.behind.set()
            self._held.clear()

    def hold(self) -> None:
        """From now on, what is offered is kept for `go_live`."""
        self._held, self._held_bytes = [], 0
        self.behind.clear()

    def go_live(self) -> None:
        held, self._held = self._held or [], None
        for data, places in held:
            self.write(data)
            self.places = places
