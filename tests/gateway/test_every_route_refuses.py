"""Each call of the document, with each thing that can be wrong with who calls or with what is sent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import httpx
import pytest

from services.gateway.app import litestar
from services.gateway.openapi import document
from services.gateway.state import Gateway
from tests.gateway.peers import KEYS, Peers, basic, bearer
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Called(NamedTuple):
    method: str
    path: str
    operation: dict[str, Any]

    @property
    def url(self) -> str:
        return self.path.replace("{id}", "x")

    @property
    def is_operators(self) -> bool:
        return bool(self.operation["security"] == [{"operator": []}])


def _calls() -> list[Called]:
    nothing: Any = SimpleNamespace()
    gateway = Gateway(
        settings=nothing,
        bus=nothing,
        writer=nothing,
        keys=SimpleNamespace(),  # type: ignore[arg-type]
        live=nothing,
        health=nothing,
    )
    paths = document(litestar(gateway))["paths"]
    return [
        Called(method.upper(), path, operation)
        for path, item in paths.items()
        for method, operation in item.items()
    ]


CALLS = _calls()
WITH_BODY = [
    call for call in CALLS if "application/json" in call.operation.get("requestBody", {}).get("content", {})
]


def _name(call: Called) -> str:
    return call.operation["operationId"]  # type: ignore[no-any-return]


def _example(call: Called) -> Any:
    """A body that the call takes, the first of its examples; None where it takes none."""
    content = call.operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    named = [each["value"] for each in content.get("examples", {}).values()]
    return content.get("example", named[0] if named else None)


every_call = pytest.mark.parametrize("call", CALLS, ids=_name)
every_body = pytest.mark.parametrize("call", WITH_BODY, ids=_name)


@every_call
async def test_without_a_key(http: httpx.AsyncClient, call: Called) -> None:
    assert_problem(await http.request(call.method, call.url), "key.missing")


@every_call
async def test_with_a_mistyped_key_nobody_is_asked(
    http: httpx.AsyncClient, peers: Peers, call: Called
) -> None:
    mistyped = KEYS.alpha[:-1] + ("0" if KEYS.alpha[-1] != "0" else "1")
    assert_problem(await http.request(call.method, call.url, headers=bearer(mistyped)), "key.invalid")
    assert not peers.asked


@every_call
async def test_with_an_unknown_key(http: httpx.AsyncClient, peers: Peers, call: Called) -> None:
    assert_problem(await http.request(call.method, call.url, headers=bearer(KEYS.unknown)), "key.invalid")


@every_call
async def test_with_a_key_of_the_wrong_scope(http: httpx.AsyncClient, peers: Peers, call: Called) -> None:
    needs_publish = "`publish`" in call.operation["description"]
    key = KEYS.alpha_read if needs_publish else KEYS.alpha_publish
    if call.is_operators:
        key = KEYS.alpha
    assert_problem(await http.request(call.method, call.url, headers=bearer(key)), "scope.missing")


@every_call
async def test_the_admin_key_is_for_organizations_only(
    http: httpx.AsyncClient, peers: Peers, call: Called
) -> None:
    if call.is_operators:
        pytest.skip("its own call")
    response = await http.request(call.method, call.url, headers=bearer(KEYS.operator))
    assert_problem(response, "scope.missing")


@every_call
async def test_a_device_credential_is_for_ingest_only(
    http: httpx.AsyncClient, peers: Peers, call: Called
) -> None:
    if call.path in ("/v1/ingest", "/v1/ingest/stream"):
        pytest.skip("its own calls")
    response = await http.request(call.method, call.url, headers=basic("cred_1", KEYS.device))
    assert_problem(response, "key.invalid")


def _key(call: Called) -> dict[str, str]:
    return bearer(KEYS.operator if call.is_operators else KEYS.alpha)


@every_body
@pytest.mark.parametrize("body", [b"{", b'{"name": nope}', b"\xff\xfe", b'{"a":1}}'])
async def test_malformed_json(http: httpx.AsyncClient, peers: Peers, call: Called, body: bytes) -> None:
    headers = {**_key(call), "Content-Type": "application/json"}
    assert_problem(
        await http.request(call.method, call.url, content=body, headers=headers), "request.malformed"
    )


@every_body
async def test_an_unknown_field_is_named(http: httpx.AsyncClient, peers: Peers, call: Called) -> None:
    example = dict(_example(call))
    response = await http.request(
        call.method, call.url, json={**example, "colour": "red"}, headers=_key(call)
    )
    assert_problem(response, "request.invalid", "colour")


@every_body
@pytest.mark.parametrize("body", ["[]", '"text"', "5", "true"])
async def test_a_body_that_is_no_object(
    http: httpx.AsyncClient, peers: Peers, call: Called, body: str
) -> None:
    headers = {**_key(call), "Content-Type": "application/json"}
    assert_problem(
        await http.request(call.method, call.url, content=body, headers=headers), "request.invalid"
    )


@every_body
async def test_each_field_of_a_wrong_type_is_named(
    http: httpx.AsyncClient, peers: Peers, call: Called
) -> None:
    example = _example(call)
    for field in example:
        if field == "payload":
            continue  # takes anything
        wrong = {**example, field: 5 if not isinstance(example[field], int) else "5"}
        response = await http.request(call.method, call.url, json=wrong, headers=_key(call))
        assert_problem(response, "request.invalid", field)


@every_body
async def test_another_content_type(http: httpx.AsyncClient, peers: Peers, call: Called) -> None:
    headers = {**_key(call), "Content-Type": "text/xml"}
    response = await http.request(call.method, call.url, content=b"<a/>", headers=headers)
    assert_problem(response, "media_type.unsupported")


@every_body
async def test_a_body_that_is_too_large(http: httpx.AsyncClient, peers: Peers, call: Called) -> None:
    headers = {**_key(call), "Content-Type": "application/json"}
    body = b'{"topic": "' + b"x" * (5 * 1024 * 1024) + b'"}'
    response = await http.request(call.method, call.url, content=body, headers=headers)
    assert_problem(response, "request.too_large")


@every_call
async def test_an_unknown_query_parameter_is_named(
    http: httpx.AsyncClient, peers: Peers, call: Called
) -> None:
    response = await http.request(call.method, call.url, params={"colour": "red"}, headers=_key(call))
    assert_problem(response, "request.invalid", "colour")


@every_call
async def test_an_unknown_method_of_a_known_address(http: httpx.AsyncClient, call: Called) -> None:
    methods = {each.method for each in CALLS if each.path == call.path}
    unknown = next(method for method in ("PUT", "PATCH", "DELETE") if method not in methods)
    response = await http.request(unknown, call.url)
    assert_problem(response, "method.not_allowed")
    assert call.method in response.headers["allow"]


@pytest.mark.parametrize("call", [c for c in CALLS if "{id}" in c.path], ids=_name)
async def test_an_impossible_id_is_a_missing_object(
    http: httpx.AsyncClient, peers: Peers, call: Called
) -> None:
    body = _example(call)
    for id in ("%00", "x" * 300):
        url = call.path.replace("{id}", id)
        assert_problem(await http.request(call.method, url, json=body, headers=_key(call)), "not_found")


@pytest.mark.parametrize(
    "call", [c for c in CALLS if "Idempotency-Key" in str(c.operation["parameters"])], ids=_name
)
@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
async def test_an_idempotency_key_of_the_wrong_form(
    http: httpx.AsyncClient, peers: Peers, call: Called, key: str
) -> None:
    body = _example(call)
    headers = {**_key(call), "Idempotency-Key": key}
    response = await http.request(call.method, call.url, json=body, headers=headers)
    assert_problem(response, "request.invalid", "Idempotency-Key")
