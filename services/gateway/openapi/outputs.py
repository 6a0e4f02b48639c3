"""Answers and refusals of a call."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from contracts.failures import CODES
from services.gateway import problems
from services.gateway.bodies import JSON
from services.gateway.openapi.calls import Call
from services.gateway.openapi.examples import EXAMPLES, STREAM, page
from services.gateway.parameters import query_names

_ALWAYS = ("request.malformed", "service.unavailable", "internal")


def answer(call: Call, models: tuple[type[BaseModel], ...], references: dict[Any, str]) -> dict[str, Any]:
    if contents := call.handler.opt.get("contents"):
        return {
            "description": call.handler.opt["answer_words"],
            "content": {
                media_type: {
                    "schema": {"type": "string"},
                    **({} if example is None else {"example": example}),
                }
                for media_type, example in contents.items()
            },
        }
    if media_type := call.handler.opt.get("answer"):
        return {
            "description": call.handler.opt.get("answer_words", "Events, without end"),
            "content": {
                media_type: {
                    "schema": {"type": "string"},
                    "example": call.handler.opt.get("answer_example", STREAM),
                }
            },
        }
    if not models:
        return {"description": "Done"}
    if len(models) == 1:
        schema: dict[str, Any] = {"$ref": references[models[0]]}
        content = {JSON: {"schema": schema, "example": _example(models[0])}}
        if events := call.handler.opt.get("events"):
            content["text/event-stream"] = {"schema": {"type": "string"}, "example": events}
        return {"description": "Done", "content": content}
    schema = {"oneOf": [{"$ref": references[model]} for model in models]}
    examples = {model.__name__: {"value": _example(model)} for model in models}
    return {"description": "Done", "content": {JSON: {"schema": schema, "examples": examples}}}


def _example(model: type[BaseModel]) -> Any:
    arguments = model.__pydantic_generic_metadata__["args"]
    return page(EXAMPLES[arguments[0].__name__]) if arguments else EXAMPLES[model.__name__]


def refusals(call: Call) -> dict[str, Any]:
    """Problem responses by status; where one status has several codes, all are named."""
    fields = call.handler.parsed_fn_signature.parameters
    codes: list[str] = ["key.missing", "key.invalid", "scope.missing", *_ALWAYS]
    if "{id}" in call.path:
        codes.append("not_found")
    if "data" in fields or "media_types" in call.handler.opt or query_names(call.handler):
        codes.append("request.invalid")
    if "data" in fields or "media_types" in call.handler.opt:
        codes += ["media_type.unsupported", "request.too_large"]
    if "command_id" in fields:
        codes += ["idempotency.reused", "idempotency.running"]
    if "cursor" in fields:
        codes.append("cursor.invalid")
    codes += call.handler.opt.get("failures", ())
    by_status: dict[str, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(str(CODES[code].status), []).append(code)
    return {status: _problems_response(held) for status, held in sorted(by_status.items())}


def _problems_response(codes: list[str]) -> dict[str, Any]:
    if len(codes) == 1:
        return {"$ref": f"#/components/responses/{codes[0]}"}
    examples = {code: {"value": _problem_example(code)} for code in codes}
    words = "; ".join(f"`{code}`: {CODES[code].title}" for code in codes)
    return {
        "description": words,
        "content": {problems.MEDIA_TYPE: {"schema": _PROBLEM, "examples": examples}},
    }


_PROBLEM = {"$ref": "#/components/schemas/Problem"}


def problem_response(code: str) -> dict[str, Any]:
    return {
        "description": f"`{code}`: {CODES[code].title}",
        "content": {problems.MEDIA_TYPE: {"schema": _PROBLEM, "example": _problem_example(code)}},
    }


def _problem_example(code: str) -> dict[str, Any]:
    status, title = CODES[code]
    return {"type": f"/problems/{code}", "title": title, "status": status, "detail": title, "code": code}
