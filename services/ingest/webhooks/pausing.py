"""The end of patience with a webhook: the credentials service is asked to pause it."""

from __future__ import annotations

from datetime import UTC, datetime

from contracts.failures import Refused, Unavailable
from contracts.webhook_deliveries import Outcome
from contracts.webhooks import PAUSE_WEBHOOK, PauseReason, PauseWebhook
from runtime import rpc
from runtime.observe import log
from services.ingest.links import Key
from services.ingest.webhooks.health import Health
from services.ingest.webhooks.parts import Parts

_log = log(part="webhooks")


async def consider(parts: Parts, key: Key, health: Health, outcome: Outcome) -> bool:
    """A receiver that wants no more, or that nobody has mended for days; whether it is to be paused.

    Where the pause is not taken now, the next failure asks for it again.
    """
    reason: PauseReason
    if outcome.code == "webhook.gone":
        reason, detail = "gone", "the receiver answered 410 Gone"
    elif outcome.code is not None and health.hopeless(datetime.now(UTC), parts.rules.pause_after_s):
        reason = "failing"
        detail = f"nothing but failures since {health.standing.failing_since:%Y-%m-%d %H:%M:%S} UTC"
    else:
        return False
    asked = PauseWebhook(
        organization=key.organization, actor="ingest", id=key.integration, reason=reason, detail=detail
    )
    try:
        await rpc.call(parts.bus, PAUSE_WEBHOOK, asked)
    except (Refused, Unavailable) as failure:
        _log.warning("a webhook is not paused", webhook=key.integration, error=str(failure))
    return True
