"""Ids in paths, whatever they hold.

A `/` that is percent-encoded belongs to an id (RFC 3986 §2.2); servers decode it before routes are looked for. `.` and
`..` are taken out of every path on the way, percent-encoded, too (§5.2.4; browsers, proxies): an id that is called so
is written `~.` or `~..`, and one that looks like that has a `~` more.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote

Scope = MutableMapping[str, Any]
_MARK = "encoded_slash"
_DOTS = re.compile(
    r"(/?)~(~*\.{1,2})"
)  # of a rest of the path, the router hands over the slash before it too


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
    found = scope["path_params"]  # shared by the router's cache: another one takes its place
    if scope.get(_MARK):
        found = {name: unquote(value) for name, value in found.items()}
    scope["path_params"] = {name: _with_dots(value) for name, value in found.items()}


def _with_dots(value: Any) -> Any:
    dots = _DOTS.fullmatch(value) if isinstance(value, str) else None
    return dots[1] + dots[2] if dots else value
