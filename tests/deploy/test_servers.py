"""The servers that everything runs on: identities, permissions, and what survives a crash."""

import json
import stat
import threading
import urllib.request
from pathlib import Path

import asyncpg
import psutil
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from deploy.local.nats import NatsServer
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import FORMER_IN_USE, DatabaseUrls, Postgres
from deploy.local.secrets import Secrets
from tests.conftest import MakeMosquitto, MakeNats
from tests.support.clients import devices_client, mqtt_client, platform_client, platform_mqtt_client
from tests.support.eventually import eventually

ORGANIZATION = "org_0123456789abcdef"


def test_secrets_stay_the_same_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets")
    first = [secrets.user_seed("a"), secrets.account_seed("b"), secrets.password("c"), secrets.key("d")]
    again = Secrets(tmp_path / "secrets")
    assert first == [again.user_seed("a"), again.account_seed("b"), again.password("c"), again.key("d")]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "secrets").iterdir()}
    assert modes == {0o600}


async def test_a_qos1_publish_over_mqtt_arrives_in_messages_with_its_partition(own_nats: NatsServer) -> None:
    async with platform_mqtt_client(own_nats) as device:
        await device.publish(f"{ORGANIZATION}/devices/d.1/telemetry", b"21.5", qos=1)
    async with platform_client(own_nats, "telemetry") as client:
        found = await eventually(lambda: _message(client, 1))
    assert found.headers is not None
    assert found.data == b"21.5"
    assert found.headers["Nmqtt-Pub"] == "1"
    _, partition, *rest = found.headers["Nats-Subject"].split(".", 2)
    assert int(partition) in range(8)
    assert rest == [f"{ORGANIZATION}.hosted.d//1.telemetry"]


async def test_what_was_acknowledged_is_there_after_kill_9(own_nats: NatsServer) -> None:
    async with platform_mqtt_client(own_nats) as device:
        await device.publish(f"{ORGANIZATION}/devices/d2/telemetry", b"before the crash", qos=1)
    own_nats.kill()
    own_nats.start()
    async with platform_client(own_nats, "telemetry") as client:

        async def payloads() -> list[bytes]:
            info = json.loads((await client.request("$JS.API.STREAM.INFO.MESSAGES")).data)
            last = info["state"]["last_seq"]
            return [(await _message(client, number)).data for number in range(1, last + 1)]

        async def arrived() -> bool:
            return b"before the crash" in await payloads()

        await eventually(arrived, timeout_s=30)


@pytest.mark.parametrize("durable", [False, True])
def test_the_durable_profile_syncs_every_write(make_nats: MakeNats, durable: bool) -> None:
    server = make_nats(durable=durable)
    with urllib.request.urlopen(f"http://{LOOPBACK}:{server.ports.monitor}/jsz?config=1") as answer:
        config = json.load(answer)["config"]
    assert config.get("sync_always", False) is durable
    assert config["sync_interval"] == 120 * 10**9
    server.stop()


async def test_a_service_cannot_touch_a_stream(provisioned_nats: NatsServer) -> None:
    async with platform_client(provisioned_nats, "gateway") as client:
        for call in ("DELETE", "PURGE", "UPDATE"):
            with pytest.raises(NatsTimeoutError):
                await client.request(f"$JS.API.STREAM.{call}.MESSAGES", b"{}", timeout=0.3)


async def test_the_device_account_cannot_reach_a_platform_subject(provisioned_nats: NatsServer) -> None:
    async with devices_client(provisioned_nats) as client:
        with pytest.raises((NatsTimeoutError, NoRespondersError)):
            await client.request("$JS.API.STREAM.INFO.MESSAGES", timeout=0.3)


async def test_without_the_credentials_service_no_device_gets_in(nats_server: NatsServer) -> None:
    with pytest.raises(Exception, match=r"135|Not authorized"):
        async with mqtt_client(nats_server.ports.mqtt, "cred_x", "guess"):
            pytest.fail("admitted")


async def test_the_projector_bypasses_row_security_and_the_query_role_does_not(
    empty_database: DatabaseUrls,
) -> None:
    ask = "SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user"
    bypasses = {}
    for role, url in vars(empty_database).items():
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        bypasses[role] = await connection.fetchval(ask)
        await connection.close()
    assert bypasses == {"owner": False, "projector": True, "query": False}


async def test_postgres_comes_back_after_kill_9_with_what_was_committed(
    postgres_server: Postgres, empty_database: DatabaseUrls
) -> None:
    url = empty_database.owner.replace("+asyncpg", "")
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE held (n int)")
    await connection.execute("INSERT INTO held VALUES (1)")
    postgres_server.kill()
    postgres_server.start()
    connection.terminate()
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT n FROM held") == 1
    await connection.close()


def test_postgres_waits_for_the_children_that_a_killed_one_left(postgres_server: Postgres) -> None:
    walwriter = postgres_server.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
    child = psutil.Process(int(walwriter))
    child.suspend()
    postgres_server.kill()
    waker = threading.Timer(1.5, child.resume)
    waker.start()
    try:
        postgres_server.start()
    finally:
        waker.join()
    assert postgres_server.sql("SELECT 1") == "1"
    assert FORMER_IN_USE in postgres_server.process.log.read_text()


async def test_mosquitto_keeps_a_session_through_kill_9(mosquitto: MakeMosquitto) -> None:
    broker = mosquitto(users={"bridge": "secret"})
    session = {"identifier": "bridge", "clean_session": False}
    async with mqtt_client(broker.port, "bridge", "secret", **session) as client:
        await client.subscribe("#", qos=1)
    async with mqtt_client(broker.port, "bridge", "secret") as client:
        await client.publish("a/b", b"queued", qos=1)
    await eventually((broker.folder / "mosquitto.db").exists, timeout_s=5)
    await eventually(lambda: b"queued" in (broker.folder / "mosquitto.db").read_bytes(), timeout_s=5)
    broker.kill()
    broker.start()
    async with mqtt_client(broker.port, "bridge", "secret", **session) as client:
        message = await anext(client.messages)
    assert message.payload == b"queued"


async def _message(client: Client, sequence: int) -> Msg:
    answer = await client.request(
        "$JS.API.DIRECT.GET.MESSAGES", json.dumps({"seq": sequence}).encode(), timeout=2
    )
    assert "Status" not in (answer.headers or {}), answer.headers
    return answer
