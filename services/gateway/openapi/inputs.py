"""Parameters and bodies of a call."""

from __future__ import annotations

from typing import Any

from litestar.params import HeaderParameter
from litestar.typing import FieldDefinition

from contracts.telemetry import NAMES_MAX
from services.gateway.bodies import JSON, NDJSON
from services.gateway.openapi.broker_examples import VARIANTS
from services.gateway.openapi.calls import Call
from services.gateway.openapi.examples import EXAMPLES
from services.gateway.openapi.ingest import INGEST_SCHEMA_NAME
from services.gateway.parameters import IDEMPOTENCY_KEY, TEXT_CHARS_MAX, query_names, repeatable


def parameters(call: Call) -> list[dict[str, Any]]:
    fields = call.handler.parsed_fn_signature.parameters
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in fields
        if f"{{{name}}}" in call.path
    ]
    found += [_parameter(name, "query", field) for name, field in query_names(call.handler).items()]
    for field in fields.values():
        if isinstance(source := field.kwarg_definition, HeaderParameter):
            found.append(_parameter(source.name or "", "header", field))
    if "command_id" in fields:
        found.append(
            {
                "name": IDEMPOTENCY_KEY,
                "in": "header",
                "required": False,
                "description": "1 to 255 visible ASCII characters: asked twice, done once",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        )
    return found


def _parameter(name: str, place: str, field: FieldDefinition) -> dict[str, Any]:
    source: Any = field.kwarg_definition
    is_integer = field.annotation is int
    schema: dict[str, Any] = {"type": "integer" if is_integer else "string", **(source.schema_extra or {})}
    if repeatable(field):
        item = {"type": "string", "maxLength": TEXT_CHARS_MAX, **(source.schema_extra or {})}
        schema = {"type": "array", "items": item, "maxItems": NAMES_MAX}
    limits = (
        ("minimum", source.ge),
        ("maximum", source.le),
        ("maxLength", source.max_length),
        ("default", field.default if field.has_default else None),
    )
    schema |= {key: value for key, value in limits if value is not None}
    required = place == "query" and not field.has_default
    made = {"name": name, "in": place, "required": required, "schema": schema}
    if source.description:
        made["description"] = source.description
    return made


def request_body(call: Call, references: dict[Any, str]) -> dict[str, Any] | None:
    if "lines" in call.handler.opt:
        texts: dict[str, str] = call.handler.opt["lines"]
        content = {
            media_type: {"schema": {"type": "string"}, "example": example}
            for media_type, example in texts.items()
        }
        return {"required": True, "content": content}
    if "media_types" in call.handler.opt:
        example = EXAMPLES[INGEST_SCHEMA_NAME]
        reference = {"$ref": f"#/components/schemas/{INGEST_SCHEMA_NAME}"}
        lines = '{"topic": "devices/d1/telemetry", "payload": {"a": 1}}\n' * 2
        return {
            "required": True,
            "content": {
                JSON: {"schema": reference, "example": example},
                NDJSON: {
                    "schema": {"type": "string", "description": "One such object a line"},
                    "example": lines,
                },
            },
        }
    if call.body is None:
        return None
    field = call.handler.parsed_fn_signature.parameters["data"]
    name = call.body.__name__
    body: dict[str, Any] = {"schema": {"$ref": references[call.body]}}
    if name in VARIANTS:
        body["examples"] = {title: {"value": value} for title, value in VARIANTS[name].items()}
    else:
        body["example"] = EXAMPLES[name]
    return {"required": not field.is_optional, "content": {JSON: body}}
