"""Addresses of webhooks, looked at before they are saved."""

from __future__ import annotations

from contracts.failures import Unavailable
from contracts.organizations import Principal
from contracts.webhook_deliveries import CHECK_WEBHOOK_URL, CheckUrl
from services.gateway.state import Gateway


async def check_url(gateway: Gateway, caller: Principal, url: str) -> None:
    """Refuses now what would be refused at each call; a name that is not there yet may come."""
    try:
        asked = CheckUrl(organization=caller.organization, actor=caller.actor, url=url)
        await gateway.ask(CHECK_WEBHOOK_URL, asked)
    except Unavailable:
        return
