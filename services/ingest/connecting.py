"""All that is between settings and a session: dialled, logged in, and told when to do so again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from contracts.broker_settings import BrokerSettings
from services.ingest.authentication import authenticate
from services.ingest.frames import Incoming
from services.ingest.network import Network
from services.ingest.session import Session
from services.ingest.transport import dial


@asynccontextmanager
async def open_session(
    network: Network,
    settings: BrokerSettings,
    secrets: Mapping[str, str],
    client_id: str,
    on_messages: Callable[[Session, list[Incoming]], None],
    *,
    clean: bool,
) -> AsyncIterator[Session]:
    """A session over an address that was checked. Raises what dialling and logging in raise.

    Its `due` resolves when the token that it was made with is about to expire: whoever holds it connects anew.
    """
    login, renew_in_s = authenticate(settings, secrets, client_id, clean=clean, now=time.time())
    channel = await dial(network, settings, secrets)
    async with Session(channel, settings, login, on_messages) as session:
        if renew_in_s is None:
            yield session
            return
        timer = asyncio.get_running_loop().call_later(renew_in_s, session.renew)
        try:
            yield session
        finally:
            timer.cancel()
