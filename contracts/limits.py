"""How much an organization and a credential may do, and how much they do now.

What holds a limit (`held`): `connect`, the hosted broker refuses another connection; `measured`, the broker
cannot hold it back, so it is measured, and who is over it for long is disconnected for a while; `http`, a
message by HTTP is refused with limit.reached; `dead_letter`, a message over it is stored and not decoded
(of organizations: a message does not tell its credential).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from contracts.calls import Call, Model, Request
from contracts.envelope import Event

LimitName = Literal["connections", "messages_per_s", "bytes_per_s", "subscriptions", "payload_bytes"]
Holder = Literal["connect", "measured", "http", "dead_letter"]
Count = Annotated[int, Field(ge=1, le=10**12)]

HELD: dict[LimitName, tuple[Holder, ...]] = {
    "connections": ("connect",),
    "messages_per_s": ("measured", "http"),
    "bytes_per_s": ("measured", "http"),
    "subscriptions": ("measured",),
    "payload_bytes": ("http", "dead_letter"),
}


class Limits(Model):
    """Of all its connections together; None: the platform's default."""

    connections: Count | None = None
    messages_per_s: Count | None = None
    bytes_per_s: Count | None = None
    subscriptions: Count | None = None
    payload_bytes: Count | None = None

    def over(self, default: Limits) -> Limits:
        """These, and the default where they say nothing."""
        return default.model_copy(update=self.model_dump(exclude_none=True))


# events: the whole of what was set, in the place of what was set before
class OrganizationLimitsChanged(Event):
    type = "organization.limits-changed"
    limits: Limits


class CredentialLimitsChanged(Event):
    type = "credential.limits-changed"
    limits: Limits


# commands and queries
class ChangeOrganizationLimits(Request):
    """The operator's."""

    id: str
    limits: Limits


class ChangeCredentialLimits(Request):
    """Within the organization's, which hold besides."""

    id: str
    limits: Limits


class GetLimits(Request):
    """The organization's; or one of its credentials'."""

    credential: str | None = None


class LimitUse(Model):
    """`current` is of the hosted broker, None where nothing is measured."""

    limit: LimitName
    allowed: int | None
    current: float | None
    held: tuple[Holder, ...]


class LimitsView(Model):
    items: tuple[LimitUse, ...]
    measured_at: datetime | None = None

    def limits(self) -> Limits:
        """What is allowed."""
        return Limits.model_validate({item.limit: item.allowed for item in self.items})


CHANGE_ORGANIZATION_LIMITS = Call(
    "command.credentials.change-organization-limits", ChangeOrganizationLimits, LimitsView
)
CHANGE_CREDENTIAL_LIMITS = Call(
    "command.credentials.change-credential-limits", ChangeCredentialLimits, LimitsView
)
GET_LIMITS = Call("query.credentials.limits", GetLimits, LimitsView)
