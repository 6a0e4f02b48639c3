"""What every device of an organization needs to know, whatever its credential."""

from __future__ import annotations

from litestar import get
from pydantic import BaseModel

from services.gateway.parameters import Caller
from services.gateway.routes.credentials import Endpoints, endpoints_of
from services.gateway.state import Backend


class ConnectionView(BaseModel):
    """`certificate_authority`: where to download what devices must trust, null where a public one signed."""

    topic_prefix: str
    endpoints: Endpoints
    certificate_authority: str | None


@get("/v1/connection")
async def get_connection(gateway: Backend, caller: Caller) -> ConnectionView:
    """Get where devices connect to, and where their topics begin."""
    return ConnectionView(
        topic_prefix=caller.organization,
        endpoints=endpoints_of(gateway),
        certificate_authority="/v1/ca.pem" if gateway.settings.mqtt_tls_ca else None,
    )


ROUTES = [get_connection]
