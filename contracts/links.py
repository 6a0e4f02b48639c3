"""Links: the connections to tenants' brokers while they are at work. What is said to one, and what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, TypeVar

from contracts import subjects
from contracts.calls import AnswerT, Call, Model, Request
from contracts.failures import Refused

LinkState = Literal["connecting", "up", "degraded", "refused", "paused"]
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class LinkRequest(Request):
    """For the one replica of ingest that owns the link."""

    integration: str


LinkRequestT = TypeVar("LinkRequestT", bound=LinkRequest)


@dataclass(frozen=True, slots=True)
class LinkCall(Generic[LinkRequestT, AnswerT]):
    """A call that only the owner of a link answers. Where nobody owns it: Unavailable("link.down"), at once."""

    verb: str
    request: type[LinkRequestT]
    answer: type[AnswerT]
    timeout_s: float = 5.0

    def at(self, organization: str, integration: str) -> Call[LinkRequestT, AnswerT]:
        """The call to this link. Raises Refused("not_found") for what is no id: it would be another subject."""
        if not (_ID.fullmatch(organization) and _ID.fullmatch(integration)):
            raise Refused("not_found")
        subject = subjects.link_call(organization, integration, self.verb)
        return Call(
            subject, self.request, self.answer, self.timeout_s, nobody="link.down", label=f"link.{self.verb}"
        )


class GetLinkStatus(LinkRequest):
    """How a link is doing."""


class LinkStatus(Model):
    integration_id: str
    state: LinkState
    reason: str | None = None  # a failure's code
    detail: str = ""
    since: datetime
    owner: str  # the replica of ingest


GET_STATUS = LinkCall("status", GetLinkStatus, LinkStatus)
