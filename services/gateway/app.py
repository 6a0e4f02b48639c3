"""Construction of the application: routes, guard, failures, limits."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, Response, get, route
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from pydantic_core import to_json

from contracts.organizations import Principal
from services.gateway import openapi, path_segments
from services.gateway.access import PUBLIC, RIGHTS, template
from services.gateway.bodies import StrictBodies, check_content
from services.gateway.edge import Edge
from services.gateway.guard import authorize
from services.gateway.parameters import check_path, check_query, command_id
from services.gateway.problems import handle
from services.gateway.routes import (
    activity,
    alert_rules,
    alerts,
    api_keys,
    bulk,
    certificates,
    commands,
    connection,
    connection_tests,
    console,
    credentials,
    dead_letters,
    decoders,
    devices,
    exports,
    ingest,
    integrations,
    limits,
    links,
    metrics,
    operation,
    organizations,
    presence,
    publish,
    rebuild,
    redecode,
    retention,
    secrets,
    series,
    sessions,
    stats,
    stream,
    subscriptions,
    telemetry,
    webhook_deliveries,
    webhooks,
)
from services.gateway.settings import BODY_BYTES_MAX
from services.gateway.state import Gateway

RESOURCES = (
    sessions,
    connection,
    limits,
    organizations,
    secrets,
    rebuild,
    api_keys,
    credentials,
    bulk,
    certificates,
    integrations,
    decoders,
    links,
    connection_tests,
    publish,
    subscriptions,
    ingest,
    devices,
    presence,
    telemetry,
    activity,
    metrics,
    series,
    exports,
    stats,
    dead_letters,
    alert_rules,
    alerts,
    redecode,
    retention,
    commands,
    stream,
    webhooks,
    webhook_deliveries,
)


@get("/openapi.json", include_in_schema=False)
async def document(request: Request[Any, Any, Any]) -> Response[bytes]:
    """OpenAPI 3.1 of everything under /v1."""
    return Response(
        request.app.state.document, media_type="application/json", headers={"cache-control": "no-cache"}
    )


def _options() -> list[HTTPRouteHandler]:
    """Litestar's own answer names the methods of the first route of a path only."""
    methods: dict[str, set[str]] = {}
    for method, path in (*RIGHTS, *PUBLIC):
        methods.setdefault(path, {"OPTIONS"}).add(method)
        if method == "GET":
            methods[path].add("HEAD")
    return [_allowing(path, ", ".join(sorted(allowed))) for path, allowed in methods.items()]


def _allowing(path: str, allowed: str) -> HTTPRouteHandler:
    @route(
        path.replace("}", ":str}")
        .replace("{metric:str}", "{metric:path}")
        .replace("{path:str}", "{path:path}"),
        http_method=[HttpMethod.OPTIONS],
        status_code=204,
    )
    async def options() -> Response[None]:
        return Response(None, status_code=204, headers={"Allow": allowed})

    return options


async def _before(request: Request[Any, Any, Any]) -> None:
    """After the guard, before anything is read."""
    if request.method == "OPTIONS":
        return
    path_segments.give_back(request.scope)
    check_path(request)
    if not request.route_handler.opt.get("any_query"):
        check_query(request)
    await check_content(request)


def _caller(request: Request[Any, Any, Any]) -> Principal:
    caller: Principal = request.auth
    return caller


def litestar(gateway: Gateway) -> Litestar:
    """The application without its edge."""
    app = Litestar(
        route_handlers=[
            *_options(),  # first: else Litestar makes its own
            *(handler for module in (*RESOURCES, operation, console) for handler in module.ROUTES),
            document,
        ],
        guards=[authorize],
        before_request=_before,
        dependencies={
            "gateway": Provide(lambda: gateway, sync_to_thread=False),
            "caller": Provide(_caller, sync_to_thread=False),
            "command_id": Provide(command_id, sync_to_thread=False),
        },
        exception_handlers={Exception: handle},
        plugins=[StrictBodies()],
        request_max_body_size=BODY_BYTES_MAX,
        state=State({"authenticator": gateway.keys, "sessions": gateway.sessions}),
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    require_rights(app)
    app.state.document = to_json(openapi.document(app))
    return app


def require_rights(app: Litestar) -> None:
    """No route without an entry in `access`, and no entry without a route."""
    served = {
        (method, template(served_route.path_format))
        for served_route in app.routes
        if isinstance(served_route, HTTPRoute)
        for method in served_route.methods
        if method != "OPTIONS"
    }
    declared = set(RIGHTS) | PUBLIC
    if served != declared:
        raise RuntimeError(f"access and routes differ: {sorted(served ^ declared)}")


def build(gateway: Gateway) -> Edge:
    """What the server runs."""
    settings = gateway.settings
    return Edge(
        litestar(gateway),  # type: ignore[arg-type]
        requests_max=settings.requests_max,
        timeout_s=settings.request_timeout_s,
    )
