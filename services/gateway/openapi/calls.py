"""A call of the API, as its route declares it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from pydantic import BaseModel

from services.gateway.access import PUBLIC, template


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    handler: HTTPRouteHandler

    @property
    def tag(self) -> str:
        return self.path.split("/")[2]

    @property
    def body(self) -> Any:
        """The model of the body, and whether it may be left out."""
        field = self.handler.parsed_fn_signature.parameters.get("data")
        if field is None:
            return None
        return next(
            (inner.annotation for inner in field.inner_types if not inner.is_none_type), field.annotation
        )

    @property
    def answers(self) -> dict[int, tuple[type[BaseModel], ...]]:
        """Models by status."""
        if declared := self.handler.opt.get("answers"):
            answers: dict[int, tuple[type[BaseModel], ...]] = declared
            return answers
        returned = self.handler.parsed_fn_signature.return_type.annotation
        is_model = isinstance(returned, type) and issubclass(returned, BaseModel)
        return {self.handler.status_code: (returned,) if is_model else ()}


def calls_of(app: Litestar) -> list[Call]:
    """Everything under /v1."""
    return [
        Call(method, template(route.path_format), handler)
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path_format.startswith("/v1")
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS" and (method, template(route.path_format)) not in PUBLIC
    ]
