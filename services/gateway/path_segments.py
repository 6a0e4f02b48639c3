"""A `/` that is percent-encoded belongs to an id (RFC 3986 §2.2); servers decode it before routes are looked for."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote

Scope = MutableMapping[str, Any]
_MARK = "encoded_slash"


def keep_together(scope: Scope) -> None:
    """Where the address has `%2F`, the path that is routed has it too; `%` stands as `%25` there."""
    raw: bytes = scope.get("raw_path", b"").partition(b"?")[0]  # optional in ASGI
    if b"%2f" not in raw.lower():
        return
    segments = (unquote(segment) for segment in raw.decode("ascii").split("/"))
    scope["path"] = "/".join(segment.replace("%", "%25").replace("/", "%2F") for segment in segments)
    scope[_MARK] = True


def give_back(scope: Any) -> None:
    """What a path's parameters hold, decoded; behind the router."""
    if scope.get(_MARK):
        found = scope["path_params"].items()  # shared by the router's cache: another one takes its place
        scope["path_params"] = {name: unquote(value) for name, value in found}
