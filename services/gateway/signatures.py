"""What a route takes."""

from __future__ import annotations

from litestar.handlers import BaseRouteHandler
from litestar.typing import FieldDefinition


def fields(handler: BaseRouteHandler) -> dict[str, FieldDefinition]:
    """The parameters of a handler and of what it depends on, by the names that they have there."""
    own = handler.parsed_fn_signature.parameters
    found = {}
    for name, provided in handler.resolve_dependencies().items():
        if name in own:
            found.update(provided.parsed_fn_signature.parameters)
    return {**found, **own}
