"""OpenAPI document: placeholder."""

from typing import Any


def document(app: Any) -> dict[str, Any]:
    return {}
