"""What every refusal must look like."""

from __future__ import annotations

from typing import Any

import httpx

from contracts.failures import CODES


def assert_problem(response: httpx.Response, code: str, field: str | None = None) -> dict[str, Any]:
    """An RFC 9457 document with this code, its status and (where given) this field at fault."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body: dict[str, Any] = response.json()
    assert body["code"] == code, body
    assert response.status_code == body["status"] == CODES[code].status
    assert body["type"] == f"/problems/{code}"
    assert body["title"] == CODES[code].title
    assert body["detail"]
    assert len(body["trace_id"]) == 32
    if response.status_code == 401:
        assert response.headers["www-authenticate"].startswith(("Bearer", "Basic"))
    if response.status_code in (429, 503):
        assert int(response.headers["retry-after"]) > 0
    if field is not None:
        assert field in [error["field"] for error in body["errors"]], body
    return body
