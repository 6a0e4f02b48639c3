"""Keys of callers: those of organizations, and the operator's."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.envelope import Event
from contracts.organizations import AdminKeyRotated, ApiKeyIssued, ApiKeyRevoked, Scope
from services.credentials.states.base import Status


@dataclass(frozen=True, slots=True)
class ApiKey:
    status: Status = "absent"
    name: str = ""
    scopes: tuple[Scope, ...] = ()
    verifier: str = ""
    hint: str = ""
    expires_at: datetime | None = None

    def evolve(self, event: Event) -> ApiKey:
        match event:
            case ApiKeyIssued():
                return ApiKey(
                    "active", event.name, event.scopes, event.verifier, event.hint, event.expires_at
                )
            case ApiKeyRevoked():
                return replace(self, status="ended")
            case _:
                return self


@dataclass(frozen=True, slots=True)
class AdminKey:
    """The operator's key. Before its first rotation it is the configured one, and this is empty."""

    verifier: str = ""
    retired: tuple[tuple[str, datetime | None], ...] = ()  # verifier, until when it holds yet

    def holds(self, verifier: str, configured: str, now: datetime) -> bool:
        """A configured key that was never rotated away holds: so a lost key is replaced by configuration."""
        for retired, until in self.retired:
            if hmac.compare_digest(retired, verifier):
                return until is not None and now < until
        return any(hmac.compare_digest(verifier, held) for held in (self.verifier, configured))

    def evolve(self, event: Event) -> AdminKey:
        """What was replaced before holds no longer, whatever its grace was."""
        if not isinstance(event, AdminKeyRotated):
            return self
        older = [(verifier, None) for verifier, _ in self.retired if verifier not in event.replaced]
        replaced = [(verifier, event.replaced_until) for verifier in event.replaced]
        return AdminKey(event.verifier, (*older, *replaced))
