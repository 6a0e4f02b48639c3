"""Brokers that ask by HTTP, with the bodies that their documentation shows.

EMQX: docs.emqx.com, authn/http and authz/http. mosquitto-go-auth: README and backends/http.go. VerneMQ: vmq-docs,
plugindevelopment/webhookplugins.md. RabbitMQ: the README of rabbitmq_auth_backend_http (the broker itself is in
test_rabbitmq).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from contracts.credentials import CredentialWithPassword
from contracts.organizations import PLATFORM, OrganizationIssued
from contracts.secrets_format import mint
from deploy.local.nats import NatsServer
from deploy.local.ports import LOOPBACK, free_port
from runtime.bus import Bus
from tests.credentials.parts import (
    CredentialsService,
    activity,
    credentials_service,
    new_device,
    new_organization,
    revoke,
)
from tests.support.clients import http_client
from tests.support.eventually import eventually
from tests.support.service import Service

TOKEN = "a1b2" * 16  # the same in every worker: it stands in names of tests
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def service(own_nats: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CredentialsService]:
    """Asked by HTTP, too."""
    folder = tmp_path_factory.mktemp("credentials")
    held = credentials_service(own_nats, folder)
    env = {**held.running.env, "HTTP_AUTH_PORT": str(free_port()), "HTTP_AUTH_TOKEN": TOKEN}
    held.running = Service("credentials", env, folder / "log")
    held.running.start()
    yield held
    held.running.process.stop()


@pytest.fixture
async def broker(service: CredentialsService) -> AsyncIterator[httpx.AsyncClient]:
    """A broker that asks, without its token."""
    port = service.running.env["HTTP_AUTH_PORT"]
    async with http_client(f"http://{LOOPBACK}:{port}", timeout=20) as client:
        yield client


@pytest.fixture
async def device(gateway: Bus, organization: OrganizationIssued) -> CredentialWithPassword:
    return await new_device(gateway, organization, device_id="d1")


class Emqx:
    """As its template in docs/guides/http-auth.md says."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def _ask(self, path: str, fields: dict[str, Any]) -> bool:
        answer = await self._http.post(path, json=fields, headers=BEARER)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json().get("is_superuser", False) is False
        return {"allow": True, "deny": False}[answer.json()["result"]]

    async def connect(self, username: str, password: str, client_id: str) -> bool:
        fields = {
            "username": username,
            "password": password,
            "clientid": client_id,
            "peerhost": "203.0.113.7",
        }
        return await self._ask("/emqx/authn", fields)

    async def may(self, username: str, client_id: str, action: str, topic: str) -> bool:
        fields = {"username": username, "clientid": client_id, "action": action, "topic": topic}
        return await self._ask("/emqx/authz", {**fields, "peerhost": "203.0.113.7"})


class RabbitMq:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def _ask(self, path: str, fields: dict[str, Any]) -> bool:
        answer = await self._http.post(f"/rabbitmq/{TOKEN}/{path}", data=fields)
        assert answer.status_code == 200
        return {"allow": True, "deny": False}[answer.text]

    async def connect(self, username: str, password: str, client_id: str) -> bool:
        fields = {"username": username, "password": password, "client_id": client_id, "vhost": "/"}
        user = await self._ask("user", fields)
        vhost = await self._ask("vhost", {"username": username, "vhost": "/", "ip": "203.0.113.7"})
        return user and vhost

    async def may(self, username: str, client_id: str, action: str, topic: str) -> bool:
        fields = {
            "username": username,
            "vhost": "/",
            "resource": "topic",
            "name": "amq.topic",
            "permission": "write" if action == "publish" else "read",
            "routing_key": topic.translate(str.maketrans("/+", ".*")),
            "variable_map.client_id": client_id,
        }
        return await self._ask("topic", fields)


class MosquittoGoAuth:
    def __init__(self, http: httpx.AsyncClient, *, form: bool) -> None:
        self._http, self._form = http, form

    async def _ask(self, path: str, fields: dict[str, Any]) -> bool:
        body: dict[str, Any] = {"data": fields} if self._form else {"json": fields}
        answer = await self._http.post(f"/mosquitto-go-auth/{TOKEN}/{path}", **body)
        assert (answer.status_code == 200) == answer.json()["ok"]
        return answer.is_success

    async def connect(self, username: str, password: str, client_id: str) -> bool:
        assert not await self._ask("superuser", {"username": username})
        return await self._ask("user", {"username": username, "password": password, "clientid": client_id})

    async def may(self, username: str, client_id: str, action: str, topic: str) -> bool:
        access = 2 if action == "publish" else 4
        return await self._ask(
            "acl", {"username": username, "clientid": client_id, "topic": topic, "acc": access}
        )


class VerneMq:
    def __init__(self, http: httpx.AsyncClient, suffix: str) -> None:
        self._http, self._suffix = http, suffix

    async def ask(self, hook: str, fields: dict[str, Any]) -> Any:
        headers = {"vernemq-hook": hook + self._suffix}
        answer = await self._http.post(
            f"/vernemq/{TOKEN}", json={"mountpoint": "", **fields}, headers=headers
        )
        assert answer.status_code == 200
        assert "cache-control" not in answer.headers
        return answer.json()

    async def connect(self, username: str, password: str, client_id: str) -> bool:
        fields = {
            "peer_addr": "203.0.113.7",
            "peer_port": 8888,
            "clean_session": False,
            "client_id": client_id,
        }
        answer = await self.ask("auth_on_register", {**fields, "username": username, "password": password})
        return bool(answer == {"result": "ok"})

    async def may(self, username: str, client_id: str, action: str, topic: str) -> bool:
        fields: dict[str, Any] = {"username": username, "client_id": client_id}
        if action == "publish":
            answer = await self.ask(
                "auth_on_publish",
                {**fields, "qos": 1, "topic": topic, "payload": "aGVsbG8=", "retain": False},
            )
        else:
            answer = await self.ask("auth_on_subscribe", {**fields, "topics": [{"topic": topic, "qos": 1}]})
        if answer != {"result": "ok"}:
            assert answer == {"result": {"error": "not_allowed"}}
        return bool(answer == {"result": "ok"})


Broker = Emqx | RabbitMq | MosquittoGoAuth | VerneMq


@pytest.fixture(params=["emqx", "rabbitmq", "go-auth json", "go-auth form", "vernemq", "vernemq 5"])
def asking(request: pytest.FixtureRequest, broker: httpx.AsyncClient) -> Broker:
    made: dict[str, Broker] = {
        "emqx": Emqx(broker),
        "rabbitmq": RabbitMq(broker),
        "go-auth json": MosquittoGoAuth(broker, form=False),
        "go-auth form": MosquittoGoAuth(broker, form=True),
        "vernemq": VerneMq(broker, ""),
        "vernemq 5": VerneMq(broker, "_m5"),
    }
    return made[request.param]


async def newest_refusal(service: CredentialsService, organization: str) -> Any:
    async def newest() -> Any:
        found = await activity(service, organization, "device.refused")
        return found[-1][1] if found else None

    return await eventually(newest)


async def test_a_device_is_let_in_to_its_own_topics_and_to_no_others(
    asking: Broker,
    gateway: Bus,
    service: CredentialsService,
    organization: OrganizationIssued,
    device: CredentialWithPassword,
) -> None:
    name, client, org = device.username, device.client_id, organization.id
    assert await asking.connect(name, device.password, client)
    assert await asking.connect(name, device.password, f"{client}-a")
    assert await asking.may(name, client, "publish", f"{org}/devices/d1/telemetry")
    assert await asking.may(name, client, "publish", f"{org}/devices/d1/v1.5")
    assert await asking.may(name, client, "subscribe", f"{org}/commands/d1/#")
    assert await asking.may(name, client, "subscribe", f"{org}/commands/d1/+/now")
    other = (await new_organization(gateway)).id
    for topic in (
        f"{org}/devices/d2/telemetry",
        f"{other}/devices/d1/telemetry",
        f"{org}/devices/d1",
        "",
        "x",
    ):
        assert not await asking.may(name, client, "publish", topic)
    for topic in ("#", "+/commands/d1/#", f"{org}/#", f"{other}/commands/d1/#", "$share/g/#", "$SYS/#", ""):
        assert not await asking.may(name, client, "subscribe", topic)
    assert (await newest_refusal(service, org)).reason in ("topic.forbidden", "filter.forbidden")


async def test_wrong_passwords_and_names_and_client_ids_are_refused(
    asking: Broker,
    service: CredentialsService,
    organization: OrganizationIssued,
    device: CredentialWithPassword,
) -> None:
    wrong = mint("dev")
    assert not await asking.connect(device.username, wrong, device.client_id)
    assert (await newest_refusal(service, organization.id)).reason == "connect.unknown"
    assert not await asking.connect(device.username, "", device.client_id)
    assert not await asking.connect("cred_0000000000000000", device.password, device.client_id)
    assert not await asking.connect("", "", "")
    assert not await asking.connect(device.username, device.password, "somebody-else")
    assert not await asking.may(
        device.username, "other", "publish", f"{organization.id}/devices/d1/telemetry"
    )
    assert not await asking.may("nobody", "x", "subscribe", f"{organization.id}/commands/d1/#")
    for secret in (wrong, device.password, TOKEN):
        assert secret not in service.output()


async def test_what_is_revoked_or_expired_is_refused(
    asking: Broker, gateway: Bus, service: CredentialsService, organization: OrganizationIssued
) -> None:
    topic = f"{organization.id}/devices/d1/telemetry"
    revoked = await new_device(gateway, organization, device_id="d1")
    assert await asking.connect(revoked.username, revoked.password, revoked.client_id)
    await revoke(gateway, organization, revoked)
    assert not await asking.connect(revoked.username, revoked.password, revoked.client_id)
    assert not await asking.may(revoked.username, revoked.client_id, "publish", topic)
    assert (await newest_refusal(service, organization.id)).reason == "connect.revoked"
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    expired = await new_device(gateway, organization, device_id="d1", expires_at=soon)
    await asyncio.sleep((soon - datetime.now(UTC)).total_seconds())  # the clock is the event
    assert not await asking.connect(expired.username, expired.password, expired.client_id)
    assert not await asking.may(expired.username, expired.client_id, "publish", topic)


async def test_a_refusal_names_broker_topic_and_address(
    broker: httpx.AsyncClient,
    service: CredentialsService,
    organization: OrganizationIssued,
    device: CredentialWithPassword,
) -> None:
    topic = f"{organization.id}/devices/d2/telemetry"
    await Emqx(broker).may(device.username, device.client_id, "publish", topic)
    event = await newest_refusal(service, organization.id)
    assert (event.reason, event.status) == ("topic.forbidden", "refused")
    assert event.subject == f"credential:{device.id}"
    assert event.details["topic"] == topic
    assert event.details["broker"] == "emqx"
    assert event.details["address"] == "203.0.113.7"


async def test_emqx_hears_when_a_credential_ends(
    broker: httpx.AsyncClient, gateway: Bus, organization: OrganizationIssued
) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    device = await new_device(gateway, organization, expires_at=ends)
    fields = {"username": device.username, "password": device.password, "clientid": device.client_id}
    answer = await broker.post("/emqx/authn", data=fields, headers=BEARER)
    assert answer.json()["expire_at"] == int(ends.timestamp())


async def test_vernemq_hears_which_of_several_topics_are_allowed(
    broker: httpx.AsyncClient, organization: OrganizationIssued, device: CredentialWithPassword
) -> None:
    good, bad = f"{organization.id}/commands/d1/#", "#"
    fields = {
        "username": device.username,
        "client_id": device.client_id,
        "topics": [{"topic": good, "qos": 1}, {"topic": bad, "qos": 2}],
    }
    old = await VerneMq(broker, "").ask("auth_on_subscribe", fields)
    assert old == {"result": "ok", "topics": [{"topic": good, "qos": 1}, {"topic": bad, "qos": 128}]}
    new = await VerneMq(broker, "_m5").ask("auth_on_subscribe", fields)
    topics = [{"topic": good, "qos": 1}, {"topic": bad, "qos": 135}]
    assert new == {"result": "ok", "modifiers": {"topics": topics}}


async def test_a_delivery_is_judged_by_the_topic_that_is_delivered(
    broker: httpx.AsyncClient, organization: OrganizationIssued, device: CredentialWithPassword
) -> None:
    for access, topic, allowed in (
        (1, f"{organization.id}/commands/d1/go", True),
        (1, f"{organization.id}/commands/d2/go", False),
        (3, f"{organization.id}/commands/d1/go", False),  # may read it, not write it
        (9, f"{organization.id}/commands/d1/go", False),
    ):
        fields = {"username": device.username, "clientid": device.client_id, "topic": topic, "acc": access}
        answer = await broker.post("/mosquitto-go-auth/acl", json=fields, headers=BEARER)
        assert answer.is_success == allowed


async def test_rabbitmq_lets_a_device_have_its_own_queues_and_nothing_else(
    broker: httpx.AsyncClient, device: CredentialWithPassword
) -> None:
    own = f"mqtt-subscription-{device.client_id}qos1"
    for resource, name, permission, allowed in (
        ("exchange", "amq.topic", "write", True),
        ("exchange", "amq.topic", "read", True),
        ("exchange", "amq.topic", "configure", False),
        ("exchange", "amq.direct", "write", False),
        ("queue", own, "configure", True),
        ("queue", own, "read", True),
        ("queue", "mqtt-subscription-otherqos1", "read", False),
        ("queue", "orders", "read", False),
    ):
        fields = {"username": device.username, "vhost": "/", "resource": resource, "name": name}
        answer = await broker.post(
            "/rabbitmq/resource", data={**fields, "permission": permission}, headers=BEARER
        )
        assert answer.text == ("allow" if allowed else "deny")
    elsewhere = {"username": device.username, "vhost": "production", "ip": "203.0.113.7"}
    assert (await broker.post("/rabbitmq/vhost", data=elsewhere, headers=BEARER)).text == "deny"
    amqp = {"username": device.username, "password": device.password}
    assert (await broker.post("/rabbitmq/user", data=amqp, headers=BEARER)).text == "deny"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/emqx/authn", {}, 401),
        ("/emqx/authn", {"Authorization": "Bearer wrong"}, 401),
        ("/emqx/authn", {"Authorization": f"Basic {TOKEN}"}, 401),
        (f"/emqx/{TOKEN}/authn", {}, 401),  # EMQX can send a header
        ("/rabbitmq/user", {}, 401),
        ("/rabbitmq/wrong/user", {}, 401),
        (f"/rabbitmq/{TOKEN}/user", {"Authorization": "Bearer wrong"}, 401),
        (f"/vernemq/{TOKEN[:-1]}", {}, 401),
        ("/metrics", {}, 401),
        ("/", {}, 401),
        ("/elsewhere", BEARER, 404),
        ("/emqx/other", BEARER, 404),
        ("/emqx/authn/more", BEARER, 404),
    ],
)
async def test_nobody_is_answered_without_the_token(
    broker: httpx.AsyncClient, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await broker.post(path, json={}, headers=headers)
    assert answer.status_code == status
    assert TOKEN not in answer.text


async def test_what_cannot_be_read_is_refused(broker: httpx.AsyncClient) -> None:
    for content in (b"", b"{", b"[]", b"\xff", b'"text"'):
        answer = await broker.post("/emqx/authn", content=content, headers=BEARER)
        assert answer.status_code == 400
    odd: dict[str, Any] = {"username": ["a"], "password": {"b": 1}, "clientid": None}
    assert (await broker.post("/emqx/authn", json=odd, headers=BEARER)).json() == {"result": "deny"}
    form = {**BEARER, "Content-Type": "application/x-www-form-urlencoded"}
    many = await broker.post("/rabbitmq/user", content=b"a=b&" * 100 + b"c=d", headers=form)
    assert many.status_code == 400
    large = await broker.post("/emqx/authn", content=b"x" * 600_000, headers=BEARER)
    assert large.status_code == 413
    assert (await broker.get("/rabbitmq/user", headers=BEARER)).status_code == 405


async def test_a_request_that_does_not_end_is_ended(service: CredentialsService) -> None:
    port = int(service.running.env["HTTP_AUTH_PORT"])
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    head = (
        f"POST /emqx/authn HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 99\r\n\r\n"
    )
    writer.write(head.encode())
    assert b"408" in await asyncio.wait_for(reader.readline(), 10)
    writer.close()


async def test_strangers_are_told_to_the_operator(
    broker: httpx.AsyncClient, service: CredentialsService
) -> None:
    await Emqx(broker).connect("stranger", "hmq_dev_leaked", "x")

    async def told() -> bool:
        found = await activity(service, PLATFORM, "device.refused")
        return any(event.details.get("broker") == "emqx" for _, event in found)

    await eventually(told)
    assert "hmq_dev_leaked" not in service.output()


def test_the_port_is_closed_unless_asked_for(own_nats: NatsServer, service: CredentialsService) -> None:
    env = {name: value for name, value in service.running.env.items() if name != "HTTP_AUTH_TOKEN"}
    running = Service("credentials", env, service.running.process.log.with_name("no-token.log"))
    running.process.start()
    assert running.process.wait(20) == 2
    assert "HTTP_AUTH_TOKEN" in running.process.log.read_text()
