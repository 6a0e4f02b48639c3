"""The one guard of every route: finds out who calls and whether they may, before anything is read."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from contracts.failures import Refused
from contracts.organizations import PLATFORM, Principal
from services.gateway.access import BY_LINK, DEVICE, OPERATOR, PUBLIC, RIGHTS, allowed, template
from services.gateway.auth import Keys, on_behalf, presented
from services.gateway.sessions import Sessions


async def authorize(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Sets `auth` (Principal) and `user` (Secret); raises Refused with 401 or 403."""
    route = (str(connection.scope["method"]), template(connection.scope["path_template"]))  # type: ignore[typeddict-item]
    if route in PUBLIC or route[0] == "OPTIONS":
        return
    needed = RIGHTS[route]
    sessions: Sessions = connection.app.state.sessions
    if "authorization" not in connection.headers and (
        session := sessions.of(route[0], connection.headers, connection.cookies)
    ):
        secret = session.secret
    else:
        secret = presented(connection.headers, device_allowed=DEVICE in needed)
    keys: Keys = connection.app.state.authenticator
    named = connection.headers.get("x-organization")
    if named is None and route in BY_LINK:
        named = connection.query_params.get("organization")
    principal = on_behalf(await keys.authenticate(secret), named)
    _check(principal, needed, is_device=secret.username is not None)
    connection.scope["auth"] = principal
    connection.scope["user"] = secret


def _check(principal: Principal, needed: tuple[str, ...], *, is_device: bool) -> None:
    if is_device:
        return  # `presented` takes a device only where one may call; its topics are checked with the message
    if principal.organization == PLATFORM:
        if OPERATOR not in needed:
            raise Refused(
                "scope.missing", "the admin key acts on organizations, or for one by X-Organization"
            )
        return
    if needed == (OPERATOR,):
        raise Refused("scope.missing", "only the operator's admin key may do this")
    if not allowed(needed, principal.scopes):  # type: ignore[arg-type]
        wanted = " or ".join(f"`{right}`" for right in needed if right != DEVICE)
        raise Refused("scope.missing", f"this takes a key with the scope {wanted}")
