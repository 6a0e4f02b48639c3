"""The document is OpenAPI 3.1, its examples are true, and its reader loads nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from pydantic import BaseModel

from services.gateway.app import RESOURCES
from services.gateway.ingest_body import IngestMessage
from services.gateway.openapi.examples import EXAMPLES
from tests.support.browser import find_chromium
from tests.support.service import Service

in_module_loop = pytest.mark.asyncio(loop_scope="module")
STATIC = Path(__file__).parents[2] / "services/gateway/static"


@pytest.fixture(scope="module")
def document(gateway: Service) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{gateway.url}/openapi.json").json()
    return found


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for inner in node.values():
            yield from _nodes(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _nodes(inner)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for node in _nodes(document):
        if isinstance(reference := node.get("$ref"), str):
            held = document
            for key in reference.removeprefix("#/").split("/"):
                held = held[key]


def test_the_document_has_the_form_of_openapi_3_1(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert set(document) <= {"openapi", "info", "servers", "tags", "paths", "components"}
    ids = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert method in ("get", "post", "put", "patch", "delete")
            ids.append(operation["operationId"])
            assert operation["summary"]
            assert operation["tags"][0] in [tag["name"] for tag in document["tags"]]
            for scheme in operation["security"]:
                assert set(scheme) <= set(document["components"]["securitySchemes"])
            in_path = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
            assert in_path == re.findall(r"\{(\w+)\}", path)
            for parameter in operation["parameters"]:
                assert set(parameter) <= {"name", "in", "required", "schema", "description"}
            assert re.fullmatch(r"2\d\d", min(operation["responses"]))
            for status, response in operation["responses"].items():
                assert re.fullmatch(r"[245]\d\d", status)
                assert "$ref" in response or response["description"]
    assert len(ids) == len(set(ids))


def test_every_call_tells_its_refusals_as_problems(document: dict[str, Any]) -> None:
    for item in document["paths"].values():
        for operation in item.values():
            assert {"401", "403", "503"} <= set(operation["responses"])
            for status, response in operation["responses"].items():
                if status >= "400":
                    name = response.get("$ref", "").rpartition("/")[2]
                    held = document["components"]["responses"][name] if name else response
                    assert list(held["content"]) == ["application/problem+json"]


def test_every_example_fits_its_model() -> None:
    models: dict[str, Any] = {
        name: held
        for module in RESOURCES
        for name, held in vars(module).items()
        if isinstance(held, type) and issubclass(held, BaseModel)
    }
    for name, example in EXAMPLES.items():
        if name == IngestMessage.__name__:
            msgspec.json.decode(msgspec.json.encode(example), type=IngestMessage)
        else:
            models[name].model_validate_json(msgspec.json.encode(example))


@in_module_loop
async def test_the_reader_names_no_other_host(http: httpx.AsyncClient) -> None:
    for path in ("/docs", "/docs/docs.js", "/docs/docs.css", "/problems/not_found"):
        response = await http.get(path)
        assert response.status_code == 200
        assert "default-src 'self'" in response.headers["content-security-policy"]
        assert not re.search(r"(src|href|url\(|from|import)\s*[=(]?\s*[\"']?(https?:)?//", response.text)


@in_module_loop
async def test_no_file_outside_of_the_static_folder_is_served(http: httpx.AsyncClient) -> None:
    for path in ("/docs/..%2fsettings.py", "/docs/%2e%2e/settings.py", "/docs/settings.py"):
        assert (await http.get(path)).status_code == 404


@pytest.mark.browser
def test_the_reader_shows_every_call_in_a_browser(gateway: Service, document: dict[str, Any]) -> None:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("Chromium is not installed")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000"]
    flags += ["--enable-logging=stderr", "--dump-dom"]
    shown = subprocess.run(
        [chromium, *flags, f"{gateway.url}/docs"], capture_output=True, text=True, timeout=60, check=True
    )
    for item in document["paths"].values():
        for operation in item.values():
            assert f'<article id="{operation["operationId"]}"' in shown.stdout
    assert "Content Security Policy" not in shown.stderr
    assert "Uncaught" not in shown.stderr
