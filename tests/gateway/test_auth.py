"""Who may do what: the table of rights, the form of what is presented, and a cache that forgets at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from nats.aio.client import Client as NatsClient
from pydantic import SecretStr

from contracts import subjects
from contracts.envelope import Cause, Event, encode
from contracts.failures import Refused, Unavailable
from contracts.organizations import (
    ALL_SCOPES,
    AUTHENTICATE,
    PLATFORM,
    ApiKeyIssued,
    ApiKeyRevoked,
    Authenticate,
    OrganizationDeleted,
    Principal,
)
from contracts.secrets_format import mint
from deploy.local.nats import NatsServer
from runtime.bus import connect
from runtime.settings import BusSettings
from services.gateway.access import DEVICE, OPERATOR, RIGHTS, allowed
from services.gateway.auth import Keys, Secret, on_behalf, presented
from tests.gateway.peers import ALPHA, BETA, KEYS, Peers, basic, bearer
from tests.support.clients import platform_client
from tests.support.eventually import eventually

in_module_loop = pytest.mark.asyncio(loop_scope="module")
ALPHA_KEY = Secret(KEYS.alpha)


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture(loop_scope="module")
async def keys(provisioned_nats: NatsServer, clock: Clock, peers: Peers) -> AsyncIterator[Keys]:
    seed = SecretStr(provisioned_nats.seeds.platform["gateway"])
    bus = await connect(BusSettings(nats_url=provisioned_nats.url, nats_seed=seed), "gateway")
    keys = Keys(bus, clock=clock)
    await keys.watch()
    await bus.client.flush()
    yield keys
    await bus.broker.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def registry(provisioned_nats: NatsServer) -> AsyncIterator[NatsClient]:
    async with platform_client(provisioned_nats, "credentials") as client:
        yield client


async def append(registry: NatsClient, subject: str, event: Event) -> None:
    headers, body = encode(event, id=mint("key"), time=datetime.now(UTC), cause=Cause("admin", "credentials"))
    await registry.publish(subject, body, headers=headers)
    await registry.flush()


def test_each_scope_opens_its_own_calls_and_no_others() -> None:
    for needed in RIGHTS.values():
        assert allowed(needed, ("admin",)) == (needed != (OPERATOR,))
        assert not allowed(needed, ())
        for scope in ALL_SCOPES:
            if scope != "admin":
                assert allowed(needed, (scope,)) == (scope in needed)


def test_a_device_may_call_nothing_but_ingest() -> None:
    ingest = [("POST", "/v1/ingest"), ("POST", "/v1/ingest/stream")]
    assert [route for route, needed in RIGHTS.items() if DEVICE in needed] == ingest


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer " + KEYS.alpha[:-1]},
        {"authorization": "Bearer " + KEYS.device},
        {"authorization": "Basic " + KEYS.alpha},
        {"authorization": KEYS.alpha},
        {"authorization": "Bearer hmq_key_é"},
    ],
)
def test_what_has_not_the_form_of_a_key_is_refused_without_a_look_up(headers: dict[str, str]) -> None:
    with pytest.raises(Refused) as caught:
        presented(headers, device_allowed=True)
    assert caught.value.meaning.status == 401


def test_basic_is_taken_only_where_a_device_may_call() -> None:
    headers = {name.lower(): value for name, value in basic("cred_1", KEYS.device).items()}
    assert presented(headers, device_allowed=True) == Secret(KEYS.device, "cred_1")
    with pytest.raises(Refused):
        presented(headers, device_allowed=False)


def test_the_schemes_name_is_read_in_any_case() -> None:
    value = bearer(KEYS.alpha)["Authorization"].replace("Bearer", "bEARER")
    assert presented({"authorization": value}, device_allowed=False) == ALPHA_KEY


def test_only_the_operator_acts_for_others() -> None:
    operator = Principal(organization=PLATFORM, actor="admin", scopes=ALL_SCOPES)
    assert on_behalf(operator, BETA).organization == BETA
    tenant = Principal(organization=ALPHA, actor="key:key_1", scopes=ALL_SCOPES)
    assert on_behalf(tenant, None) is tenant
    for organization in (ALPHA, BETA):
        with pytest.raises(Refused):
            on_behalf(tenant, organization)


@in_module_loop
async def test_an_answer_is_kept_for_half_a_minute(keys: Keys, peers: Peers, clock: Clock) -> None:
    for _ in range(3):
        assert (await keys.authenticate(ALPHA_KEY)).organization == ALPHA
    assert peers.count(Authenticate) == 1
    clock.now += 31
    await keys.authenticate(ALPHA_KEY)
    assert peers.count(Authenticate) == 2


@in_module_loop
async def test_a_refusal_is_kept_for_two_seconds(keys: Keys, peers: Peers, clock: Clock) -> None:
    for _ in range(3):
        with pytest.raises(Refused):
            await keys.authenticate(Secret(KEYS.unknown))
    assert peers.count(Authenticate) == 1
    clock.now += 2.1
    with pytest.raises(Refused):
        await keys.authenticate(Secret(KEYS.unknown))
    assert peers.count(Authenticate) == 2


@in_module_loop
async def test_an_outage_is_not_remembered(keys: Keys, peers: Peers) -> None:
    peers.refuse(AUTHENTICATE, Unavailable("log.unavailable"))
    with pytest.raises(Unavailable):
        await keys.authenticate(ALPHA_KEY)
    peers.answers.clear()
    assert (await keys.authenticate(ALPHA_KEY)).organization == ALPHA


@in_module_loop
async def test_an_expired_key_is_refused_though_it_is_remembered(keys: Keys, peers: Peers) -> None:
    secret = mint("key")
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    peers.principals[secret] = Principal(
        organization=ALPHA, actor="key:key_short", scopes=("read",), expires_at=soon
    )
    await keys.authenticate(Secret(secret))

    async def refused() -> bool:
        try:
            await keys.authenticate(Secret(secret))
        except Refused:
            return True
        return False

    assert await eventually(refused, timeout_s=2)
    assert peers.count(Authenticate) == 1


@in_module_loop
async def test_a_change_of_a_key_asks_anew_and_leaves_the_others(
    keys: Keys, peers: Peers, registry: NatsClient
) -> None:
    await keys.authenticate(ALPHA_KEY)
    await keys.authenticate(Secret(KEYS.beta))
    heard = asyncio.Event()
    keys.on_change(lambda *_: heard.set())
    event = ApiKeyIssued(name="k", scopes=("read",), verifier="v", hint="h")
    await append(registry, subjects.registry(ALPHA, "api-key", "key_alpha"), event)
    await asyncio.wait_for(heard.wait(), 2)
    await keys.authenticate(Secret(KEYS.beta))
    assert peers.count(Authenticate) == 2
    await keys.authenticate(ALPHA_KEY)
    assert peers.count(Authenticate) == 3


@in_module_loop
@pytest.mark.parametrize("what", ["key", "organization"])
async def test_what_is_revoked_is_refused_even_where_the_service_lags(
    keys: Keys, peers: Peers, registry: NatsClient, what: str
) -> None:
    organization, secret = f"org_gone{what:0<12}", mint("key")
    peers.principals[secret] = Principal(organization=organization, actor="key:key_gone", scopes=("read",))
    await keys.authenticate(Secret(secret))
    heard = asyncio.Event()
    keys.on_change(lambda *_: heard.set())
    if what == "key":
        await append(registry, subjects.registry(organization, "api-key", "key_gone"), ApiKeyRevoked())
    else:
        subject = subjects.registry(organization, "organization", organization)
        await append(registry, subject, OrganizationDeleted())
    await asyncio.wait_for(heard.wait(), 2)
    with pytest.raises(Refused):
        await keys.authenticate(Secret(secret))


@in_module_loop
async def test_an_answer_that_a_change_overtook_is_not_kept(
    keys: Keys, peers: Peers, registry: NatsClient
) -> None:
    heard = asyncio.Event()
    keys.on_change(lambda *_: heard.set())

    async def slowly(request: Authenticate) -> Principal:
        event = ApiKeyIssued(name="k", scopes=("read",), verifier="v", hint="h")
        await append(registry, subjects.registry(ALPHA, "api-key", "key_alpha"), event)
        await asyncio.wait_for(heard.wait(), 2)
        return peers.principals[request.secret]

    peers.answers[AUTHENTICATE.subject] = slowly
    await keys.authenticate(ALPHA_KEY)
    peers.answers.clear()
    await keys.authenticate(ALPHA_KEY)
    assert peers.count(Authenticate) == 2
