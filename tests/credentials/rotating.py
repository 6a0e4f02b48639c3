"""The service with keys that a test changes, killed in the middle of a rotation."""

from __future__ import annotations

import asyncio
import base64
import random
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from contracts import subjects, upcasts
from contracts.calls import AnswerT, Call, RequestT
from contracts.failures import Unavailable
from contracts.integrations import (
    CREATE_INTEGRATION,
    READ_SECRET,
    CreateIntegration,
    IntegrationCreated,
    IntegrationView,
    ReadSecret,
)
from contracts.key_rotation import GET_ROTATION, ROTATE_SECRETS, GetRotation, RotateSecrets, Rotation
from contracts.organizations import PLATFORM
from contracts.streams import REGISTRY, SECRETS, SECRETS_BUCKET
from deploy.local.nats import NatsServer
from runtime import jetstream, rpc
from runtime.bus import Bus
from runtime.kv import Bucket
from services.credentials import keyring
from services.credentials.sealing import Sealing
from services.credentials.vault import context_of_secret
from tests.credentials.parts import (
    ADMIN,
    CredentialsService,
    credentials_service,
    entries,
    new_organization,
    platform_bus,
    refused,
    unique,
)
from tests.support.eventually import eventually

OLD, NEW = keyring.Key("old", b"o" * 32), keyring.Key("new", b"n" * 32)
INTEGRATIONS = 5
FILL_AT_ONCE = 100


def written(*keys: keyring.Key) -> str:
    """As an operator writes them."""
    return ",".join(f"{key.id}:{base64.b64encode(key.value).decode()}" for key in keys)


async def fill(bucket: Bucket, sealing: Sealing, count: int) -> list[str]:
    """References of secrets that say their own reference."""
    references = [f"{unique('org')}.int_1.password.{number}" for number in range(count)]

    async def put(reference: str) -> None:
        sealed = sealing.seal(reference.encode(), context_of_secret(reference))
        await bucket.put(reference, sealed, expected=0)

    for start in range(0, count, FILL_AT_ONCE):
        await asyncio.gather(*(put(each) for each in references[start : start + FILL_AT_ONCE]))
    return references


async def opened(bucket: Bucket, sealing: Sealing, reference: str) -> str:
    value = await bucket.get(reference)
    assert value is not None
    return sealing.open(value.data, context_of_secret(reference)).decode()


def rotating_service(nats: NatsServer, folder: Path) -> Rotating:
    service = credentials_service(nats, folder)
    keys = folder / "keys"
    service.running.env["KEY_ENCRYPTION_KEY_FILE"] = str(keys)
    process = service.running.process
    process.env = {**(process.env or {}), "KEY_ENCRYPTION_KEY_FILE": str(keys)}
    return Rotating(service, keys)


@dataclass
class Rotating:
    """One credentials service, and readers that ask it for secrets all the time."""

    service: CredentialsService
    keys: Path
    reads: int = 0
    _reading: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, *keys: keyring.Key) -> None:
        """For the next start."""
        self.keys.write_text(written(*keys))

    async def survives(self, count: int, kills: int, moments: random.Random) -> None:
        """`count` secrets on the old key, `kills` SIGKILLs while they are wrapped anew; then all is well."""
        gateway = await platform_bus(self.service.nats, "gateway")
        ingest = await platform_bus(self.service.nats, "ingest")
        credentials = await platform_bus(self.service.nats, "credentials")
        try:
            await self._survives(gateway, ingest, credentials, count, kills, moments)
        finally:
            for bus in (gateway, ingest, credentials):
                await bus.broker.stop()

    async def refuses_a_tenant(self) -> None:
        gateway = await platform_bus(self.service.nats, "gateway")
        organization = await new_organization(gateway)
        with refused("scope.missing"):
            await rpc.call(gateway, GET_ROTATION, GetRotation(organization=organization.id, actor="key:k"))
        with refused("scope.missing"):
            await rpc.call(
                gateway, ROTATE_SECRETS, RotateSecrets(organization=organization.id, actor="key:k")
            )
        await gateway.broker.stop()

    async def _survives(
        self, gateway: Bus, ingest: Bus, credentials: Bus, count: int, kills: int, moments: random.Random
    ) -> None:
        process, bucket = self.service.running.process, Bucket(credentials.client, SECRETS_BUCKET)
        self.write(OLD)
        await asyncio.to_thread(self.service.running.start)
        organization = await new_organization(gateway)
        commands = [_command(organization.id, number) for number in range(INTEGRATIONS)]
        made = [await rpc.call(gateway, CREATE_INTEGRATION, command) for command in commands]
        questions = [await self._question(organization.id, each) for each in made]
        references = await fill(bucket, Sealing(OLD.value), count)
        process.kill()

        reader = asyncio.create_task(self._read(ingest, questions))
        self.write(NEW, OLD)
        step = count // (kills + 1)
        killed_within = 0
        for _ in range(kills):
            before = await _writes(credentials)
            process.start()
            target = before + moments.randint(1, max(1, step // 2))
            await eventually(partial(_reached, credentials, target), timeout_s=30, every_s=0.001)
            process.kill()
            killed_within += await self._left(bucket) > 0
        assert killed_within == kills, f"only {killed_within} of {kills} kills met a rotation under way"

        await asyncio.to_thread(self.service.running.start)
        state = await _again(gateway, ROTATE_SECRETS, _ask(RotateSecrets))
        assert (state.current, state.left, state.unreadable) == ("new", 0, 0)
        self.write(NEW)
        process.stop()
        await asyncio.to_thread(self.service.running.start)
        state = await _again(gateway, GET_ROTATION, _ask(GetRotation))
        assert state == Rotation(
            current="new", keys=("new",), rewrapped=0, left=0, unreadable=0, running=state.running
        )

        reads = self.reads
        await eventually(lambda: self.reads >= reads + INTEGRATIONS or reader.done())
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        assert reader.cancelled(), reader.exception()
        only_new = Sealing(NEW.value)
        for start in range(0, count, FILL_AT_ONCE):
            some = references[start : start + FILL_AT_ONCE]
            assert await asyncio.gather(*(opened(bucket, only_new, each) for each in some)) == some
        # the plans of commands were wrapped anew, too: a retry still gets the same answer
        assert [await rpc.call(gateway, CREATE_INTEGRATION, command) for command in commands] == made

    async def _read(self, ingest: Bus, questions: list[ReadSecret]) -> None:
        """Until cancelled; anything but an answer or "not there at the moment" is an error."""
        while True:
            for question in questions:
                with suppress(Unavailable):
                    secret = await rpc.call(ingest, READ_SECRET, question)
                    assert secret.value.get_secret_value() == "a secret"
                    self.reads += 1
            await asyncio.sleep(0.01)

    async def _question(self, organization: str, made: IntegrationView) -> ReadSecret:
        subject = subjects.registry(organization, "integration", made.id)
        (entry,) = await entries(self.service.nats, "credentials", REGISTRY.name, subject)
        recorded = upcasts.decode(entry.headers or {}, entry.data)
        assert recorded is not None
        assert isinstance(recorded.event, IntegrationCreated)
        return ReadSecret(
            organization=organization,
            integration=made.id,
            field="password",
            reference=recorded.event.secrets["password"],
        )

    async def _left(self, bucket: Bucket) -> int:
        sealing, left, after = Sealing(NEW.value, OLD.value), 0, 0
        while page := await bucket.page(after):
            after = page[-1][1].revision
            left += sum(not sealing.is_current(value.data) for _, value in page)
        return left


def _command(organization: str, number: int) -> CreateIntegration:
    return CreateIntegration.model_validate(
        {
            "organization": organization,
            "actor": "key:k",
            "name": f"Plant {number}",
            "settings": {"host": "broker.example", "username": "u"},
            "secrets": {"password": "a secret"},
            "command_id": unique("c"),
        }
    )


def _ask(kind: type[RequestT]) -> RequestT:
    return kind(organization=PLATFORM, actor=ADMIN)


async def _again(bus: Bus, what: Call[RequestT, AnswerT], request: RequestT) -> AnswerT:
    while True:
        with suppress(Unavailable):
            return await rpc.call(bus, what, request)
        await asyncio.sleep(0.05)


async def _writes(credentials: Bus) -> int:
    return (await jetstream.stream_state(credentials.client, SECRETS.name)).last


async def _reached(credentials: Bus, target: int) -> bool:
    return await _writes(credentials) >= target
