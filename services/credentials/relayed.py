"""Connects that came through the TLS relay: what its ticket says stands for what the server saw."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import msgspec

from contracts.tls_ticket import NO_USERNAME, PREFIX, unseal
from services.credentials.certificates import Shown
from services.credentials.user_jwt import Question


class Relayed:
    """`key` is None where there is no relay: a ticket is then a wrong password like any other."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key

    def unwrap(self, asked: Question) -> tuple[Question, Shown | None]:
        """The question as the device put it, and its certificate where it came with one and no password."""
        password = asked.connect_opts.password
        if self._key is None or not password.startswith(PREFIX):
            return asked, None
        ticket = unseal(self._key, password, time.time())
        if ticket is None:
            return asked, None
        shown = None
        if not ticket.password and ticket.fingerprint is not None and ticket.subject is not None:
            ends = datetime.fromtimestamp(ticket.ends, UTC) if ticket.ends is not None else None
            shown = Shown(ticket.fingerprint, ticket.subject, ends)
        client = msgspec.structs.replace(asked.client_info, host=ticket.address)
        user = "" if asked.connect_opts.user == NO_USERNAME else asked.connect_opts.user
        options = msgspec.structs.replace(asked.connect_opts, user=user, password=ticket.password or "")
        return msgspec.structs.replace(asked, client_info=client, connect_opts=options), shown
