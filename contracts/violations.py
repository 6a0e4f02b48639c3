"""What nats-server forbade devices, told by whoever reads its log: it tells nobody else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.calls import Call, Model, Nothing

VIOLATIONS_MAX = 1000
"""In one request: a look's worth of a log that is flooded."""


class Violation(Model):
    """A device tried to publish to a topic, or to subscribe to a filter, that its credential does not allow."""

    reason: Literal["topic.forbidden", "filter.forbidden"]
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    address: Annotated[str, StringConstraints(max_length=64)]
    topic: Annotated[str, StringConstraints(max_length=256)]  # or filter; its beginning


class NoteViolations(Model):
    """Of one server, in the order in which they happened."""

    violations: Annotated[tuple[Violation, ...], Field(max_length=VIOLATIONS_MAX)]


NOTE_VIOLATIONS = Call("notice.credentials.violations", NoteViolations, Nothing)
