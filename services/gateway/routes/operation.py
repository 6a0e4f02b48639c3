"""What is not the API itself: health, metrics, the document, its reader, the problems' explanations."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath
from litestar.response import Redirect
from pydantic_core import to_json

from contracts.failures import CODES, Refused
from services.gateway import pages
from services.gateway.state import Backend, Gateway

STATIC = Path(__file__).parent.parent / "static"
_FILES = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir())}
_PAGE_CSP = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_PAGE_HEADERS = {"content-security-policy": _PAGE_CSP, "cache-control": "no-cache"}


def _health(gateway: Gateway, path: str, accept: str = "") -> Response[bytes]:
    status, content_type, body = gateway.health.answer(path, accept) or (404, "text/plain", b"")
    return Response(body, status_code=status, media_type=content_type)


@get("/healthz", include_in_schema=False)
async def healthz(gateway: Backend) -> Response[bytes]:
    """The process lives."""
    return _health(gateway, "/healthz")


@get("/readyz", include_in_schema=False)
async def readyz(gateway: Backend) -> Response[bytes]:
    """It can do its work now, and if not, why."""
    return _health(gateway, "/readyz")


@get("/metrics", include_in_schema=False)
async def metrics(gateway: Backend, request: Request[Any, Any, Any]) -> Response[bytes]:
    """For Prometheus."""
    return _health(gateway, "/metrics", request.headers.get("accept", ""))


@get("/", include_in_schema=False)
async def root() -> Redirect:
    """People land at the console."""
    return Redirect("/console", status_code=307)


@get("/docs", include_in_schema=False)
async def docs() -> Response[bytes]:
    """The document, for people; loads nothing from elsewhere."""
    return Response(_FILES["docs.html"], media_type="text/html", headers=_PAGE_HEADERS)


@get("/docs/{name:str}", include_in_schema=False)
async def docs_file(name: FromPath[str]) -> Response[bytes]:
    """Its script and style."""
    if name not in _FILES:
        raise Refused("route.unknown")
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(_FILES[name], media_type=media_type, headers=_PAGE_HEADERS)


@get("/problems", include_in_schema=False)
async def problems() -> Response[bytes]:
    """All codes, for machines."""
    listed = {
        code: {"type": f"/problems/{code}", "status": meaning.status, "title": meaning.title}
        for code, meaning in CODES.items()
    }
    return Response(to_json(listed), media_type="application/json")


@get("/problems/{code:str}", include_in_schema=False)
async def problem_page(code: FromPath[str]) -> Response[str]:
    """What a problem's `type` points at."""
    if code not in CODES:
        raise Refused("route.unknown")
    return Response(pages.problem_page(code), media_type="text/html", headers=_PAGE_HEADERS)


ROUTES = [healthz, readyz, metrics, root, docs, docs_file, problems, problem_page]
