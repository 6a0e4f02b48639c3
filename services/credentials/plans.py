"""Idempotency: what a command is about to do, sealed and stored before it is done.

Whatever is killed when, a retry finds the plan, appends its events if they are not there yet, and gives the
very same answer. A plan holds a new secret, so it is encrypted, and gone after a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic_core import from_json, to_json

from contracts import envelope, upcasts
from contracts.calls import Request
from contracts.envelope import Cause
from contracts.failures import Refused, Unavailable
from runtime import rpc
from runtime.event_log import Append
from runtime.kv import Bucket
from services.credentials.hashing import Hashing
from services.credentials.sealing import Sealing


@dataclass(frozen=True, slots=True)
class Plan:
    """Events to append, at which time, and the answer to give, as JSON."""

    at: datetime
    appends: tuple[Append, ...]
    answer: bytes
    revision: int = 0  # of the stored form; 0 while there is none


class Plans:
    """Plans by organization and command id."""

    def __init__(self, bucket: Bucket, sealing: Sealing, hashing: Hashing) -> None:
        self._bucket, self._sealing, self._hashing = bucket, sealing, hashing

    def command_hash(self, request: Request) -> str | None:
        """What the log keeps of a command's id: the caller's own words stay out of it."""
        if request.command_id is None:
            return None
        return self._hashing.digest(f"command {request.organization} {request.command_id}")

    async def find(self, call: str, request: Request) -> Plan | None:
        """Raises Refused("idempotency.reused") where this command id came with another request."""
        key = self._key(request)
        value = await self._bucket.get(key)
        if value is None:
            return None
        stored = from_json(self._sealing.open(value.data, context_of_plan(key)))
        if stored["request"] != self._request_hash(call, request):
            raise Refused("idempotency.reused", "use a new Idempotency-Key for a new request")
        appends = tuple(_revived(**item) for item in stored["appends"])
        at, answer = datetime.fromisoformat(stored["at"]), stored["answer"].encode()
        return Plan(at, appends, answer, value.revision)

    async def keep(self, call: str, request: Request, plan: Plan, *, expected: int = 0) -> Plan:
        """This plan, or the one that somebody stored before (who retries finds it as well)."""
        key = self._key(request)
        stored = {
            "request": self._request_hash(call, request),
            "at": plan.at.isoformat(),
            "appends": [_stored(append, plan.at) for append in plan.appends],
            "answer": plan.answer.decode(),
        }
        sealed = self._sealing.seal(to_json(stored), context_of_plan(key))
        revision = await self._bucket.put(key, sealed, expected=expected)
        if revision is not None:
            return Plan(plan.at, plan.appends, plan.answer, revision)
        held = await self.find(call, request)
        if held is None:  # a replica of the bucket that lags behind
            raise Unavailable("log.unavailable", "the command is being carried out; try again")
        return held

    def _key(self, request: Request) -> str:
        return f"{request.organization}.{self.command_hash(request)}"

    def _request_hash(self, call: str, request: Request) -> str:
        # Secrets take part in it: the hash is keyed, and what is stored is encrypted.
        body = rpc.encode(request.model_copy(update={"command_id": None}))
        return self._hashing.digest(f"request {call} {body.decode()}")


def context_of_plan(key: str) -> tuple[str, ...]:
    """What a plan is sealed to."""
    organization, command = key.split(".")
    return organization, "idempotency", command, "1"


def _stored(append: Append, at: datetime) -> dict[str, object]:
    headers, data = envelope.encode(append.event, id="", time=at, cause=Cause("", ""))
    return {
        "subject": append.subject,
        "expected": append.expected,
        "headers": headers,
        "event": data.decode(),
    }


def _revived(subject: str, expected: int, headers: dict[str, str], event: str) -> Append:
    recorded = upcasts.decode(headers, event.encode(), subject=subject)
    if recorded is None:
        raise Unavailable(
            "service.unavailable", "a newer version of this service began the command; try again"
        )
    return Append(subject, recorded.event, expected)
