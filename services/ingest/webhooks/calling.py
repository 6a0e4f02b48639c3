"""One signed call to a webhook's address, with the secrets that hold at the moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pydantic_core import from_json

from services.ingest import secrets
from services.ingest.webhooks.http import Caller, Sent
from services.ingest.webhooks.parts import Parts
from services.ingest.webhooks.signing import signed_headers
from services.ingest.webhooks.wanted import Wanted

USER_AGENT = "HybridMQ-Webhooks/1"


class Calling:
    """Keeps secrets and connections for as long as the webhook's address and secrets stay the same."""

    def __init__(self, parts: Parts, wanted: Callable[[], Wanted]) -> None:
        self._parts, self._wanted = parts, wanted
        self._caller: Caller | None = None
        self._former: list[Caller] = []
        self._secrets: dict[str, str] = {}  # by reference

    def changed(self) -> None:
        """What holds no longer is forgotten."""
        held = set(self._wanted().secrets.values())
        self._secrets = {ref: value for ref, value in self._secrets.items() if ref in held}

    async def close(self) -> None:
        for caller in (*self._former, *([self._caller] if self._caller else [])):
            await caller.close()

    async def send(self, id: str, body: bytes) -> Sent:
        """One attempt. Raises what reading the secrets raises."""
        own, signing = await self._read()
        headers = {**own, **made_headers(signing, id, body)}
        return await self._to(self._wanted().settings.url).send(headers, body)

    def _to(self, url: str) -> Caller:
        if self._caller is None or self._caller.url != url:
            if self._caller is not None:
                self._former.append(self._caller)  # calls may be under way over it
            self._caller = Caller(self._parts.client, url)
        return self._caller

    async def _read(self) -> tuple[dict[str, str], list[str]]:
        wanted = self._wanted()
        holding = wanted.holding(datetime.now(UTC))
        missing = {name: ref for name, ref in holding.items() if ref not in self._secrets}
        if missing:
            found = await secrets.read(self._parts.bus, wanted.key, missing)
            self._secrets |= {missing[name]: value for name, value in found.items()}
        return split({name: self._secrets[ref] for name, ref in holding.items()})


def split(held: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The webhook's own headers, and the secrets to sign with, the newest first."""
    own: dict[str, str] = from_json(held["headers"]) if "headers" in held else {}
    return own, [held[name] for name in ("secret", "previous") if name in held]


def made_headers(signing: list[str], id: str, body: bytes) -> dict[str, str]:
    """What every call has."""
    common = {"content-type": "application/json", "user-agent": USER_AGENT}
    return {**common, **signed_headers(signing, id, int(time.time()), body)}
