"""Who calls the gateway in these tests, and what the answers for them have in common."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from contracts.calls import Nothing
from contracts.failures import Refused
from contracts.organizations import ALL_SCOPES, PLATFORM, Principal, Scope
from contracts.secrets_format import mint

NOW = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
ALPHA, BETA = "org_alpha00000000000", "org_beta000000000000"
CREDENTIAL = "cred_0000000000000001"


@dataclass(frozen=True)
class Keys:
    """Secrets that stay the same for the whole run: the gateway remembers them."""

    alpha: str = field(default_factory=lambda: mint("key"))
    alpha_read: str = field(default_factory=lambda: mint("key"))
    alpha_publish: str = field(default_factory=lambda: mint("key"))
    beta: str = field(default_factory=lambda: mint("key"))
    operator: str = field(default_factory=lambda: mint("admin"))
    device: str = field(default_factory=lambda: mint("dev"))
    unknown: str = field(default_factory=lambda: mint("key"))


KEYS = Keys()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def basic(username: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


def _principal(organization: str, name: str, *scopes: Scope) -> Principal:
    return Principal(organization=organization, actor=f"key:key_{name}", scopes=scopes)


def principals() -> dict[str, Principal]:
    return {
        KEYS.alpha: _principal(ALPHA, "alpha", "admin"),
        KEYS.alpha_read: _principal(ALPHA, "read", "read"),
        KEYS.alpha_publish: _principal(ALPHA, "publish", "publish"),
        KEYS.beta: _principal(BETA, "beta", "admin"),
        KEYS.operator: Principal(organization=PLATFORM, actor="admin", scopes=ALL_SCOPES),
    }


def own(request: Any, id: str) -> None:
    if request.organization != ALPHA or request.id != id:
        raise Refused("not_found", f"{request.id} is not here")


def deleted(id: str) -> Callable[[Any], Nothing]:
    def answer(request: Any) -> Nothing:
        if request.organization not in (ALPHA, PLATFORM) or request.id != id:
            raise Refused("not_found")
        return Nothing()

    return answer


def empty(page: Any) -> Callable[[Any], Any]:
    return lambda _: page(items=[], next_cursor=None)
