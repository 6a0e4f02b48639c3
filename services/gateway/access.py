"""Which scope each call needs, in one place. A route that is not in the table is not served (see `app`)."""

from __future__ import annotations

from typing import Final, Literal

from contracts.organizations import Scope

OPERATOR: Final = "operator"  # the admin key, which is no tenant's
DEVICE: Final = "device"  # a device credential by HTTP Basic, beside an API key
Right = Scope | Literal["operator", "device"]

# Any one of these is enough; the scope `admin` is enough everywhere but for the operator's own calls.
RIGHTS: dict[tuple[str, str], tuple[Right, ...]] = {
    ("POST", "/v1/organizations"): (OPERATOR,),
    ("GET", "/v1/organizations"): (OPERATOR,),
    ("DELETE", "/v1/organizations/{id}"): (OPERATOR,),
    ("POST", "/v1/secrets/rotate"): (OPERATOR,),
    ("GET", "/v1/secrets/rotate"): (OPERATOR,),
    ("POST", "/v1/admin-key/rotate"): (OPERATOR,),
    ("POST", "/v1/admin/rebuild"): (OPERATOR,),
    ("GET", "/v1/admin/rebuild"): (OPERATOR,),
    ("POST", "/v1/admin/rebuild/cancel"): (OPERATOR,),
    ("GET", "/v1/admin/logs"): (OPERATOR,),
    ("POST", "/v1/api-keys"): ("admin",),
    ("GET", "/v1/api-keys"): ("admin",),
    ("GET", "/v1/api-keys/{id}"): ("admin",),
    ("DELETE", "/v1/api-keys/{id}"): ("admin",),
    ("POST", "/v1/credentials"): ("manage_credentials",),
    ("POST", "/v1/credentials/bulk"): ("manage_credentials",),
    ("GET", "/v1/credentials"): ("read", "manage_credentials"),
    ("GET", "/v1/credentials/{id}"): ("read", "manage_credentials"),
    ("PATCH", "/v1/credentials/{id}"): ("manage_credentials",),
    ("POST", "/v1/credentials/{id}/rotate"): ("manage_credentials",),
    ("PUT", "/v1/credentials/{id}/acl"): ("manage_credentials",),
    ("PUT", "/v1/credentials/{id}/expiry"): ("manage_credentials",),
    ("GET", "/v1/credentials/{id}/history"): ("read", "manage_credentials"),
    ("GET", "/v1/credentials/{id}/acl/check"): ("read", "manage_credentials"),
    ("POST", "/v1/credentials/{id}/revoke"): ("manage_credentials",),
    ("POST", "/v1/credentials/{id}/certificate"): ("manage_credentials",),
    ("DELETE", "/v1/credentials/{id}/certificate"): ("manage_credentials",),
    ("GET", "/v1/decoders"): ("read", "manage_integrations"),
    ("POST", "/v1/decoders/preview"): ("manage_integrations",),
    ("GET", "/v1/integrations"): ("read", "manage_integrations"),
    ("GET", "/v1/integrations/presets"): ("read", "manage_integrations"),
    ("POST", "/v1/integrations"): ("manage_integrations",),
    ("POST", "/v1/integrations/test"): ("manage_integrations",),
    ("GET", "/v1/integrations/{id}"): ("read", "manage_integrations"),
    ("PATCH", "/v1/integrations/{id}"): ("manage_integrations",),
    ("DELETE", "/v1/integrations/{id}"): ("manage_integrations",),
    ("POST", "/v1/integrations/{id}/test"): ("manage_integrations",),
    ("POST", "/v1/integrations/{id}/publish"): ("publish",),
    ("POST", "/v1/integrations/{id}/publish/batch"): ("publish",),
    ("GET", "/v1/integrations/{id}/status"): ("read", "manage_integrations"),
    ("POST", "/v1/integrations/{id}/pause"): ("manage_integrations",),
    ("POST", "/v1/integrations/{id}/resume"): ("manage_integrations",),
    ("PUT", "/v1/integrations/{id}/watchdog"): ("manage_integrations",),
    ("GET", "/v1/integrations/{id}/subscriptions"): ("read", "manage_integrations"),
    ("POST", "/v1/integrations/{id}/subscriptions"): ("manage_integrations",),
    ("DELETE", "/v1/integrations/{id}/subscriptions"): ("manage_integrations",),
    ("POST", "/v1/ingest"): ("publish", DEVICE),
    ("POST", "/v1/ingest/stream"): ("publish", DEVICE),
    ("GET", "/v1/credentials/{id}/connections"): ("read", "manage_credentials"),
    ("POST", "/v1/credentials/{id}/disconnect"): ("manage_credentials",),
    ("GET", "/v1/connection"): ("read", "manage_credentials"),
    ("GET", "/v1/retention"): ("read",),
    ("PUT", "/v1/retention"): ("admin",),
    ("GET", "/v1/storage"): ("read",),
    ("GET", "/v1/limits"): ("read", "manage_credentials"),
    ("PUT", "/v1/credentials/{id}/limits"): ("manage_credentials",),
    ("PUT", "/v1/organizations/{id}/limits"): (OPERATOR,),
    ("GET", "/v1/devices"): ("read",),
    ("GET", "/v1/devices/{id}"): ("read",),
    ("PATCH", "/v1/devices/{id}"): ("manage_integrations",),
    ("DELETE", "/v1/devices/{id}"): ("manage_integrations",),
    ("GET", "/v1/erasures"): ("read",),
    ("GET", "/v1/erasures/{id}"): ("read",),
    ("POST", "/v1/devices/{id}/commands"): ("publish",),
    ("GET", "/v1/devices/{id}/commands"): ("read",),
    ("GET", "/v1/devices/{id}/commands/{command}"): ("read",),
    ("GET", "/v1/metrics"): ("read",),
    ("PUT", "/v1/metrics/{metric}"): ("manage_integrations",),
    ("DELETE", "/v1/metrics/{metric}"): ("manage_integrations",),
    ("GET", "/v1/telemetry"): ("read",),
    ("GET", "/v1/telemetry/export"): ("read",),
    ("GET", "/v1/telemetry/series"): ("read",),
    ("GET", "/v1/telemetry/latest"): ("read",),
    ("GET", "/v1/messages"): ("read",),
    ("GET", "/v1/activity"): ("read",),
    ("GET", "/v1/activity/{id}"): ("read",),
    ("POST", "/v1/alert-rules"): ("manage_alerts",),
    ("POST", "/v1/alert-rules/preview"): ("manage_alerts",),
    ("GET", "/v1/alert-rules"): ("read", "manage_alerts"),
    ("GET", "/v1/alert-rules/{id}"): ("read", "manage_alerts"),
    ("PATCH", "/v1/alert-rules/{id}"): ("manage_alerts",),
    ("DELETE", "/v1/alert-rules/{id}"): ("manage_alerts",),
    ("GET", "/v1/alerts"): ("read", "manage_alerts"),
    ("GET", "/v1/alerts/{id}"): ("read", "manage_alerts"),
    ("POST", "/v1/alerts/{id}/acknowledge"): ("manage_alerts",),
    ("POST", "/v1/alerts/{id}/resolve"): ("manage_alerts",),
    ("GET", "/v1/activity/export"): ("read",),
    ("GET", "/v1/stats"): ("read",),
    ("GET", "/v1/presence"): ("read",),
    ("POST", "/v1/redecode"): ("manage_integrations",),
    ("GET", "/v1/redecode"): ("read",),
    ("GET", "/v1/redecode/{id}"): ("read",),
    ("POST", "/v1/redecode/{id}/pause"): ("manage_integrations",),
    ("POST", "/v1/redecode/{id}/resume"): ("manage_integrations",),
    ("POST", "/v1/redecode/{id}/cancel"): ("manage_integrations",),
    ("GET", "/v1/dead-letters"): ("read",),
    ("GET", "/v1/dead-letters/counts"): ("read",),
    ("GET", "/v1/dead-letters/{id}"): ("read",),
    ("POST", "/v1/dead-letters/retry"): ("manage_integrations",),
    ("POST", "/v1/dead-letters/discard"): ("manage_integrations",),
    ("DELETE", "/v1/dead-letters/{id}"): ("manage_integrations",),
    ("GET", "/v1/stream"): ("read",),
    ("POST", "/v1/webhooks"): ("manage_integrations",),
    ("GET", "/v1/webhooks"): ("read", "manage_integrations"),
    ("GET", "/v1/webhooks/{id}"): ("read", "manage_integrations"),
    ("PATCH", "/v1/webhooks/{id}"): ("manage_integrations",),
    ("DELETE", "/v1/webhooks/{id}"): ("manage_integrations",),
    ("POST", "/v1/webhooks/{id}/rotate"): ("manage_integrations",),
    ("POST", "/v1/webhooks/{id}/pause"): ("manage_integrations",),
    ("POST", "/v1/webhooks/{id}/resume"): ("manage_integrations",),
    ("POST", "/v1/webhooks/{id}/test"): ("manage_integrations",),
    ("GET", "/v1/webhooks/{id}/deliveries"): ("read", "manage_integrations"),
    ("POST", "/v1/webhooks/{id}/deliveries/{delivery}/retry"): ("manage_integrations",),
    ("POST", "/v1/webhooks/{id}/deliveries/retry"): ("manage_integrations",),
}

BY_LINK: frozenset[tuple[str, str]] = frozenset(
    {("GET", "/v1/telemetry/export"), ("GET", "/v1/activity/export")}
)
"""Files that a browser saves by a link, which carries no header: the operator names the organization in the address."""

PUBLIC: frozenset[tuple[str, str]] = frozenset(
    {("POST", "/console/session"), ("DELETE", "/console/session")}  # they look at the key themselves
) | frozenset(
    ("GET", path)
    for path in (
        "/console",
        "/console/session",
        "/console/{path}",
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/v1/ca.pem",
        "/docs",
        "/docs/{name}",
        "/problems",
        "/problems/{code}",
    )
)


def template(path: str) -> str:
    """A Litestar path (`/a/{id:str}`) as people and OpenAPI write it (`/a/{id}`)."""
    return path.replace(":str}", "}").replace(":path}", "}").rstrip("/") or "/"


def allowed(needed: tuple[Right, ...], scopes: tuple[Scope, ...]) -> bool:
    """Whether a tenant's key with these scopes may make a call that needs one of `needed`."""
    return needed != (OPERATOR,) and ("admin" in scopes or any(right in scopes for right in needed))
