"""Erases secrets that nobody holds any more, also those whose deleter was killed before it came to that."""

from __future__ import annotations

import asyncio

from contracts.envelope import Recorded
from contracts.failures import Unavailable
from contracts.integrations import IntegrationDeleted
from contracts.organizations import OrganizationDeleted
from contracts.subjects import Entity
from contracts.webhooks import WebhookDeleted
from runtime.observe import log
from services.credentials.directory import Directory
from services.credentials.vault import Vault

_log = log(part="janitor")
EVERY_S = 600.0


async def tidy(vault: Vault, directory: Directory) -> None:
    """At the start, now and then, and soon after an organization or an integration ends; until cancelled."""
    ended = asyncio.Event()

    def listen(_: Entity, recorded: Recorded) -> None:
        if isinstance(recorded.event, IntegrationDeleted | OrganizationDeleted | WebhookDeleted):
            ended.set()

    directory.listen(listen)
    while True:
        ended.clear()
        try:
            await vault.sweep(directory)
        except Unavailable as error:
            _log.warning("secrets cannot be looked through now", error=error.detail)
        try:
            await asyncio.wait_for(ended.wait(), EVERY_S)
        except TimeoutError:
            continue
