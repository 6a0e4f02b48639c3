"""Answers nats-server's "may this device connect, and what may it do?" (auth callout): the hot path.

From memory and at once where possible. What must wait (a credential that another replica may have issued this
moment, a broker that is starting) waits beside, so that nobody behind it does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from nats.aio.client import Client
from opentelemetry.metrics import CallbackOptions, Observation

from contracts.failures import CODES, Unavailable
from contracts.subjects import AUTH_CALLOUT
from runtime import fast_parser
from runtime.observe import log, meter
from services.credentials.admission import Admission
from services.credentials.answers import Answers
from services.credentials.authentication import Authentication, Found
from services.credentials.certificates import Certificates, Shown
from services.credentials.connections import Connections
from services.credentials.filters import expanded
from services.credentials.gate import Gate
from services.credentials.ids import client_id_belongs
from services.credentials.refusals import Refusals
from services.credentials.relayed import Relayed
from services.credentials.user_jwt import Question, Signer, question

_log = log(part="callout")
# A counter of the SDK's would cost 30 µs a connect. All are told from the start: what begins with its first event shows
# no increase then.
_answered = Counter({"ok": 0, **{code: 0 for code in CODES if code.startswith("connect.")}})


def _observe(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(count, {"outcome": outcome}) for outcome, count in list(_answered.items())]


meter.create_observable_counter(
    "hybridmq.connects", callbacks=[_observe], description="Answered connects, by outcome"
)
QUEUE = "credentials"
WAITING_MAX = 2000  # connects that wait at a time; more are refused, and come again


class Callout:
    def __init__(
        self,
        client: Client,
        authentication: Authentication,
        gate: Gate,
        signer: Signer,
        refusals: Refusals,
        connections: Connections,
        certificates: Certificates,
        relayed: Relayed,
        admission: Admission,
    ) -> None:
        self._connections, self._admission = connections, admission
        self._certificates, self._relayed = certificates, relayed
        self._client, self._authentication = client, authentication
        self._gate, self._signer, self._refusals = gate, signer, refusals
        self._answers = Answers(client)
        self._waiting: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Answers from now on, in one of the replicas."""
        await fast_parser.subscribe(self._client, AUTH_CALLOUT, self._on_request, queue=QUEUE)

    def _on_request(self, _subject: bytes, reply: bytes, _headers: bytes, data: bytes) -> None:
        try:
            self._take_up(reply, data)
        except ValueError as error:
            _log.warning("a connect cannot be read", error=str(error))
        # A defect: this runs within the reading of the connection, which must go on for everybody else.
        except Exception:  # noqa: BLE001
            _log.exception("a connect is not answered")

    def _take_up(self, reply: bytes, data: bytes) -> None:
        asked, shown = self._relayed.unwrap(question(data))
        options = asked.connect_opts
        if shown is None:
            new = self._authentication.may_be_new(options.user, options.password)
        else:
            new = self._certificates.may_be_new(options.user, asked.client_info.mqtt_id, shown)
        new = new and self._admission.worth_waiting(asked, asyncio.get_running_loop().time())
        if (self._gate.open and not new) or len(self._waiting) >= WAITING_MAX:
            self._answer(reply, asked, shown)
            return
        task = asyncio.create_task(self._answer_later(reply, asked, shown, new))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _answer_later(self, reply: bytes, asked: Question, shown: Shown | None, new: bool) -> None:
        await self._gate.ask()
        if new and self._gate.open:
            try:
                if shown is None:
                    await self._authentication.prepare(asked.connect_opts.user, asked.connect_opts.password)
                else:
                    await self._authentication.catch_up()
            except Unavailable as error:
                _log.warning("a connect is answered from what is known", error=error.detail)
        self._answer(reply, asked, shown)

    def _answer(self, reply: bytes, asked: Question, shown: Shown | None) -> None:
        user = asked.connect_opts.user
        if shown is None:
            found = self._authentication.check(user, asked.connect_opts.password)
        else:
            found = self._certificates.check(user, asked.client_info.mqtt_id, shown)
        refused, detail, now = self._refused(asked, found), "", asyncio.get_running_loop().time()
        if refused is None and found.entry is not None:
            reached = self._admission.refusal(asked, found.entry.organization, found.entry.id, now)
            if reached is not None:
                refused, detail = "connect.limit", reached.words
        _answered[refused or "ok"] += 1
        if refused is None and found.entry is not None:
            state, client_id = found.entry.state, asked.client_info.mqtt_id
            publish = expanded(state.publish, state.device_id, client_id)
            subscribe = expanded(state.subscribe, state.device_id, client_id)
            answer = self._signer.allow(asked, found.entry.id, publish, subscribe, found.until)
            self._admission.let_in(asked, found.entry.organization, found.entry.id, now)
            self._authentication.used(found, client_id)
            self._connections.let_in(asked.server_id.id, asked.client_info.id, found.entry.id)
        else:
            refused = refused or "connect.unknown"
            organization = found.entry.organization if found.entry else None
            flooded = self._admission.flooded(asked, organization, refused, now)
            refused = "connect.flood" if flooded else refused
            answer = self._signer.refuse(asked, refused)
            self._refusals.note(
                refused,
                organization=organization,
                credential=found.entry.id if found.entry else None,
                username=asked.connect_opts.user,
                client_id=asked.client_info.mqtt_id,
                address=asked.client_info.host,
                detail=detail,
                only_counted=flooded,
            )
        self._answers.send(reply, answer)

    def _refused(self, asked: Question, found: Found) -> str | None:
        """The failure code, or None."""
        if found.refused is not None or found.entry is None:
            return found.refused or "connect.unknown"
        if not asked.client_info.mqtt_id:  # a NATS client: devices speak MQTT
            return "connect.protocol"
        if not client_id_belongs(asked.client_info.mqtt_id, found.entry.state.client_id):
            return "connect.client_id"
        return None if self._gate.open else "connect.not_ready"
