"""The OpenAPI 3.1 document, read off the routes: signatures, docstrings, `access` and the models themselves.

Litestar's own generator does not know problems, scopes or strict bodies, and pydantic writes JSON Schema
2020-12, which is what OpenAPI 3.1 holds.
"""

from __future__ import annotations

import re
from typing import Any

from litestar import Litestar
from pydantic.json_schema import models_json_schema

from contracts.failures import CODES
from services.gateway import problems
from services.gateway.access import DEVICE, RIGHTS, Right
from services.gateway.openapi.about import DESCRIPTION, LICENSE, SECURITY_SCHEMES, TAGS
from services.gateway.openapi.calls import Call, calls_of
from services.gateway.openapi.ingest import INGEST_SCHEMA, INGEST_SCHEMA_NAME
from services.gateway.openapi.inputs import parameters, request_body
from services.gateway.openapi.outputs import answer, problem_response, refusals

_PAGE_NAME = re.compile(r"\bPage_(\w+)_")


def document(app: Litestar) -> dict[str, Any]:
    """The whole document, as plain data."""
    calls = calls_of(app)
    calls.sort(key=lambda call: (list(TAGS).index(call.tag), call.path, call.method))
    references, schemas = _schemas(calls)
    paths: dict[str, Any] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, references)
    return {
        "openapi": "3.1.1",
        "info": {"title": "HybridMQ", "version": "1", "description": DESCRIPTION, "license": LICENSE},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {**schemas, INGEST_SCHEMA_NAME: INGEST_SCHEMA},
            "responses": {code: problem_response(code) for code in CODES},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _schemas(calls: list[Call]) -> tuple[dict[Any, str], dict[str, Any]]:
    """References by model, and the schemas that they point at."""
    wanted: set[tuple[Any, Any]] = {(problems.Problem, "serialization")}
    for call in calls:
        if call.body is not None:
            wanted.add((call.body, "validation"))
        for models in call.answers.values():
            wanted |= {(model, "serialization") for model in models}
    ordered = sorted(wanted, key=lambda pair: (pair[0].__name__, pair[1]))
    found, definitions = models_json_schema(ordered, ref_template="#/components/schemas/{model}")
    references = {model: found[(model, mode)]["$ref"] for model, mode in ordered}
    return _plain_names(references), _plain_names(definitions.get("$defs", {}))


def _plain_names(data: Any) -> Any:
    """`Page_DeviceRow_`, which pydantic makes of a generic, reads `DeviceRowPage`."""
    if isinstance(data, dict):
        return {_plain_names(key): _plain_names(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain_names(item) for item in data]
    return _PAGE_NAME.sub(r"\1Page", data) if isinstance(data, str) else data


def _operation(call: Call, references: dict[Any, str]) -> dict[str, Any]:
    summary, _, rest = (call.handler.fn.__doc__ or "").strip().partition("\n")
    needed = RIGHTS[call.method, call.path]
    scopes = " or ".join(f"`{right}`" for right in needed if right != DEVICE)
    head, _, tail = summary.partition(". ")
    words = "\n\n".join(filter(None, [tail, _unindented(rest), f"Needs: {scopes}."]))
    operation: dict[str, Any] = {
        "operationId": call.handler.fn.__name__,
        "tags": [call.tag],
        "summary": head.rstrip("."),
        "description": words,
        "security": _security(needed),
        "parameters": parameters(call),
        "responses": {
            **{str(status): answer(call, models, references) for status, models in call.answers.items()},
            **refusals(call),
        },
    }
    if (body := request_body(call, references)) is not None:
        operation["requestBody"] = body
    return operation


def _unindented(text: str) -> str:
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(" ".join(line.strip() for line in each.splitlines()) for each in paragraphs)


def _security(needed: tuple[Right, ...]) -> list[dict[str, list[str]]]:
    if needed == ("operator",):
        return [{"operator": []}]
    schemes = ("key", "device") if DEVICE in needed else ("key",)
    return [{scheme: []} for scheme in schemes]
