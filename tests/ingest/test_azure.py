"""Azure IoT Hub: its tokens, its rules, and a renewal under load that loses and doubles nothing."""

import asyncio
import base64
import hashlib
import hmac
import os
import ssl
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from contracts.broker_settings import broker_settings
from contracts.broker_topics import default_topics
from contracts.failures import Refused
from deploy.local.process import Process
from deploy.local.stack import ROOT
from services.ingest import sas
from services.ingest.authentication import authenticate
from services.ingest.connecting import open_session
from services.ingest.network import Network
from services.ingest.policy import ANYTHING
from tests.ingest.conftest import World
from tests.support.azure_hub import AzureHub
from tests.support.certificates import Certificates
from tests.support.eventually import eventually
from tests.support.service import Service

DEVICE = "gateway-7"
EXPIRES_EARLY_S = 294  # by a hub whose clock is so far ahead a token of 300 s lives for 6 s


def test_a_token_is_signed_as_azure_documents_it() -> None:
    key = base64.b64encode(b"secret").decode()
    sr = "hub.azure-devices.net%2Fdevices%2Fa%2Bb"
    digest = hmac.new(b"secret", f"{sr}\n1700000000".encode(), hashlib.sha256).digest()
    sig = quote(base64.b64encode(digest).decode(), safe="")
    expected = f"SharedAccessSignature sr={sr}&sig={sig}&se=1700000000"
    assert sas.token("hub.azure-devices.net/devices/a+b", key, 1_700_000_000) == expected


@pytest.mark.parametrize("key", ["no base64!", "YWJj\n", "abc"])
def test_a_key_that_is_no_base64_is_refused(key: str) -> None:
    with pytest.raises(Refused) as caught:
        sas.token("h/devices/d", key, 1)
    assert caught.value.field == "settings.shared_access_key"


def test_a_login_follows_from_the_device_and_is_renewed_before_its_end() -> None:
    settings = broker_settings(
        auth="azure_sas", host="hub.azure-devices.net", device_id=DEVICE, token_lifetime_s=1000
    )
    secrets = {"shared_access_key": base64.b64encode(b"k").decode()}
    login, renew_in_s = authenticate(settings, secrets, DEVICE, clean=False, now=50.5)
    assert login.username == f"hub.azure-devices.net/{DEVICE}/?api-version=2021-04-12"
    assert login.client_id == DEVICE
    assert login.password is not None
    assert login.password.endswith("&se=1050")
    assert renew_in_s == 800


@pytest.fixture
def hub_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    return context


def azure(hub: AzureHub, certificates: Certificates, **changes: Any) -> dict[str, Any]:
    return {
        "auth": "azure_sas",
        "host": "localhost",
        "hub": hub.name,
        "device_id": hub.device,
        "token_lifetime_s": 300,
        "tls": {"ca": certificates.authority.read_text()},
        "shared_access_key": hub.key,
        **changes,
    }


async def connect(world: World, hub: AzureHub, certificates: Certificates, **changes: Any) -> str:
    settings = azure(hub, certificates, **changes)
    topics = default_topics(
        broker_settings(**{k: v for k, v in settings.items() if k != "shared_access_key"})
    )
    return await world.create(hub.port, topics=topics, **settings)


async def test_what_the_cloud_sends_to_the_device_is_stored(
    world: World, ingest: Service, certificates: Certificates, hub_context: ssl.SSLContext
) -> None:
    async with AzureHub(hub_context, DEVICE) as hub:
        link = await connect(world, hub, certificates)
        await eventually(lambda: hub.subscribed, timeout_s=20)
        for number in range(250):
            hub.send(number)

        async def there() -> bool:
            return len(await world.stored(link)) == 250

        await eventually(there, timeout_s=20)
        assert hub.violations == []
        assert (hub.logins, hub.expired) == (1, 0)


async def test_what_is_published_arrives_as_the_devices_own(
    certificates: Certificates, hub_context: ssl.SSLContext
) -> None:
    async with AzureHub(hub_context, DEVICE) as hub:
        fields = azure(hub, certificates, port=hub.port)
        secrets = {"shared_access_key": fields.pop("shared_access_key")}
        settings = broker_settings(**fields)
        async with open_session(
            Network(ANYTHING), settings, secrets, DEVICE, lambda _, __: None, clean=False
        ) as session:
            topic = f"devices/{DEVICE}/messages/events/"
            assert await session.publish(topic, b"up", qos=1, retain=False) is None
        assert hub.received == [(topic, b"up")]
        assert hub.violations == []


async def test_a_wrong_key_is_not_believed(
    world: World, ingest: Service, certificates: Certificates, hub_context: ssl.SSLContext
) -> None:
    async with AzureHub(hub_context, DEVICE) as hub:
        other = base64.b64encode(b"another key").decode()
        await connect(world, hub, certificates, shared_access_key=other)
        await eventually(lambda: "a token with another signature" in hub.violations, timeout_s=20)
        assert hub.logins == 0


@pytest.fixture
def early(ingest: Service, tmp_path: Path) -> Iterator[Process]:
    """Ingest that renews early, in the place of the ordinary one."""
    ingest.process.stop()
    process = Process(
        "early",
        [sys.executable, str(Path(__file__).with_name("early_renewal.py"))],
        log=tmp_path / "early.log",
        env={**os.environ, **ingest.env, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    process.start()
    yield process
    process.stop()
    ingest.start()


async def load(hub: AzureHub, enough: asyncio.Event) -> None:
    """Some 500 messages a second until there is enough."""
    number = 0
    while not enough.is_set():
        for _ in range(10):
            hub.send(number)
            number += 1
        await asyncio.sleep(0.02)


async def verdict(world: World, hub: AzureHub, link: str) -> tuple[int, int]:
    """Lost and doubled, once nothing is missing or nothing new comes."""

    async def all_there() -> bool:
        return {int(m.payload) for m in await world.stored(link)} >= set(hub.accepted)

    await eventually(all_there, timeout_s=20, every_s=0.3)
    stored = Counter(int(message.payload) for message in await world.stored(link))
    return len(set(hub.accepted) - stored.keys()), sum(count - 1 for count in stored.values())


@pytest.mark.slow
async def test_tokens_are_renewed_under_load_and_nothing_is_lost_or_doubled(
    world: World, early: Process, certificates: Certificates, hub_context: ssl.SSLContext
) -> None:
    async with AzureHub(hub_context, DEVICE, clock_ahead_s=EXPIRES_EARLY_S) as hub:
        link = await connect(world, hub, certificates)
        await eventually(lambda: hub.subscribed, timeout_s=30)
        enough = asyncio.Event()
        sending = asyncio.create_task(load(hub, enough))
        await eventually(lambda: hub.logins >= 4, timeout_s=30)
        enough.set()
        await sending
        assert await verdict(world, hub, link) == (0, 0)
        assert hub.expired == 0
        assert hub.resumed == hub.logins - 1, "the session was kept each time"
        assert hub.violations == []
        kinds = await world.kinds()
        assert "link.down" not in kinds
        assert len(hub.accepted) > 1000


@pytest.mark.slow
async def test_a_token_that_expires_breaks_the_link_and_loses_nothing_all_the_same(
    world: World, ingest: Service, certificates: Certificates, hub_context: ssl.SSLContext
) -> None:
    """The control: the hub really enforces the expiry, and then a connection is lost."""
    async with AzureHub(hub_context, DEVICE, clock_ahead_s=EXPIRES_EARLY_S) as hub:
        link = await connect(world, hub, certificates)
        await eventually(lambda: hub.subscribed, timeout_s=20)
        enough = asyncio.Event()
        sending = asyncio.create_task(load(hub, enough))
        await eventually(lambda: hub.expired >= 1 and hub.logins >= 2, timeout_s=30)
        enough.set()
        await sending
        assert await verdict(world, hub, link) == (0, 0)
        assert "link.down" in await world.kinds()
