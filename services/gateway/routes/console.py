"""The console: its files, and its sessions. No part of the API: what it does, a key can do."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, Field

from contracts.failures import Refused
from contracts.organizations import GET_ORGANIZATION, PLATFORM, GetOrganization, Scope
from services.gateway.auth import presented
from services.gateway.bodies import Body
from services.gateway.console_files import ConsoleFiles
from services.gateway.sessions import (
    KEY_CHARS_MAX,
    Session,
    came_by_https,
    check_own,
    cookie,
)
from services.gateway.state import Backend, Gateway

_FILES = ConsoleFiles()
_ANY_QUERY = {"any_query": True}  # deep links carry what their page reads


class SignIn(Body):
    key: Annotated[str, Field(min_length=1, max_length=KEY_CHARS_MAX)]


class SessionView(BaseModel):
    """Who is signed in. `organization` is None for the operator, who chooses one for each page."""

    actor: str
    operator: bool
    organization: str | None
    organization_name: str | None
    scopes: tuple[Scope, ...]
    expires_at: datetime


@get("/console", include_in_schema=False, opt=_ANY_QUERY)
async def console(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The first page."""
    return _FILES.answer("", request.headers)


@get("/console/{path:path}", include_in_schema=False, opt=_ANY_QUERY)
async def console_file(path: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
    """A file of it, or a deep link."""
    return _FILES.answer(path, request.headers)


@get("/console/session", include_in_schema=False)
async def get_session(request: Request[Any, Any, Any], gateway: Backend) -> Response[SessionView | None]:
    """Who is signed in; 204 for nobody."""
    try:
        session = gateway.sessions.of(request.method, request.headers, request.cookies)
        if session is None:
            return Response(None, status_code=204)
        return Response(await _view(session, gateway))
    except Refused as refused:
        if refused.meaning.status != 401:
            raise
        return Response(None, status_code=204, headers={"set-cookie": _ended(request)})


@post("/console/session", include_in_schema=False, status_code=200)
async def sign_in(
    request: Request[Any, Any, Any], data: JSONBody[SignIn], gateway: Backend
) -> Response[SessionView]:
    """Exchange a key for a session."""
    check_own(request.method, request.headers)
    key = data.key.strip()
    presented({"authorization": f"Bearer {key}"}, device_allowed=False)  # its form, before anybody is asked
    session, value = gateway.sessions.begin(key)
    view = await _view(session, gateway)
    lasts_s = int(gateway.settings.session_lasts_s)
    made = cookie(value, lasts_s, secure=came_by_https(request.headers))
    return Response(view, headers={"set-cookie": made})


@delete("/console/session", include_in_schema=False, status_code=204)
async def sign_out(request: Request[Any, Any, Any]) -> Response[None]:
    """End the session of this browser."""
    check_own(request.method, request.headers)
    return Response(None, status_code=204, headers={"set-cookie": _ended(request)})


async def _view(session: Session, gateway: Gateway) -> SessionView:
    principal = await gateway.keys.authenticate(session.secret)
    operator = principal.organization == PLATFORM
    name = None
    if not operator:
        asked = GetOrganization(organization=principal.organization, actor=principal.actor)
        name = (await gateway.ask(GET_ORGANIZATION, asked)).name
    return SessionView(
        actor=principal.actor,
        operator=operator,
        organization=None if operator else principal.organization,
        organization_name=name,
        scopes=principal.scopes,
        expires_at=min(filter(None, (session.expires_at, principal.expires_at))),
    )


def _ended(request: Request[Any, Any, Any]) -> str:
    return cookie("", 0, secure=came_by_https(request.headers))


ROUTES = [get_session, sign_in, sign_out, console, console_file]
