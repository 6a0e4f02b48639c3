"""Links: the connections to tenants' brokers while they are at work. What is said to one, and what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from contracts import subjects
from contracts.calls import AnswerT, Call, Model, Request
from contracts.envelope import Event
from contracts.failures import Refused
from contracts.integrations import IntegrationView

LinkState = Literal["connecting", "up", "degraded", "refused", "paused"]
ExpectedInterval = Annotated[float, Field(ge=1, le=30 * 86_400)]
"""Seconds within which a message is expected."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


# events
class IntegrationPaused(Event):
    """Its connection ends, its session at the broker stays: what the broker keeps for us comes later."""

    type = "integration.paused"


class IntegrationResumed(Event):
    type = "integration.resumed"


class IntegrationWatchChanged(Event):
    """None: how often messages are to come is learnt from how they come."""

    type = "integration.watch-changed"
    expected_interval_s: ExpectedInterval | None = None


# commands to credentials
class PauseIntegration(Request):
    id: str


class ResumeIntegration(Request):
    id: str


class WatchIntegration(Request):
    id: str
    expected_interval_s: ExpectedInterval | None = None


PAUSE_INTEGRATION = Call("command.credentials.pause-integration", PauseIntegration, IntegrationView)
RESUME_INTEGRATION = Call("command.credentials.resume-integration", ResumeIntegration, IntegrationView)
WATCH_INTEGRATION = Call("command.credentials.watch-integration", WatchIntegration, IntegrationView)


# calls to the replica of ingest that owns the link
class LinkRequest(Request):
    integration: str


LinkRequestT = TypeVar("LinkRequestT", bound=LinkRequest)


@dataclass(frozen=True, slots=True)
class LinkCall(Generic[LinkRequestT, AnswerT]):
    """A call that only the owner of a link answers. Where nobody owns it: Unavailable(`nobody`), at once."""

    verb: str
    request: type[LinkRequestT]
    answer: type[AnswerT]
    timeout_s: float = 5.0
    nobody: str = "link.down"

    def at(self, organization: str, integration: str) -> Call[LinkRequestT, AnswerT]:
        """The call to this link. Raises Refused("not_found") for what is no id: it would be another subject."""
        if not (_ID.fullmatch(organization) and _ID.fullmatch(integration)):
            raise Refused("not_found")
        subject = subjects.link_call(organization, integration, self.verb)
        return Call(
            subject, self.request, self.answer, self.timeout_s, nobody=self.nobody, label=f"link.{self.verb}"
        )


class GetLinkStatus(LinkRequest):
    """How a link is doing."""


class LinkError(Model):
    """Failures of one kind in a row are one, with how many `times`."""

    at: datetime
    code: str
    detail: str
    times: int


class LinkMinute(Model):
    at: datetime
    messages_in: int
    bytes_in: int
    messages_out: int
    errors: int


class LinkSubscription(Model):
    """`refused`: why, in the broker's words; None while it is granted or not yet asked for. `since`: granted to
    this process for the first time."""

    filter: str
    qos: int
    granted_qos: int | None = None
    since: datetime | None = None
    refused: str | None = None
    messages: int = 0
    last_message_at: datetime | None = None


class LinkStatus(Model):
    """Counts are of the time since `owner` has the link."""

    integration_id: str
    state: LinkState
    reason: str | None = None  # a failure's code
    detail: str = ""
    next_action: str | None = None  # the one thing to do about the reason, where there is one
    since: datetime
    owner: str | None  # the replica of ingest; None: none has it at the moment
    connected_since: datetime | None = None
    next_try_at: datetime | None = None
    last_message_at: datetime | None = None
    rate_in_per_s: float = 0.0
    rate_out_per_s: float = 0.0
    expected_interval_s: float | None = None
    expected_interval_from: Literal["given", "learnt"] | None = None
    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    in_flight: int = 0
    held_back: bool = False  # nothing is read until the log has taken what waits for it
    duplicates: int = 0
    retained: int = 0
    dropped: int = 0
    dropped_by_broker: int | None = (
        None  # as the broker counts it, for all its clients; None: it does not tell
    )
    reconnects: int = 0
    last_errors: tuple[LinkError, ...] = ()  # the newest last
    subscriptions: tuple[LinkSubscription, ...] = ()
    minutes: tuple[LinkMinute, ...] = ()  # of the last hour, those in which something was


GET_STATUS = LinkCall("status", GetLinkStatus, LinkStatus)
