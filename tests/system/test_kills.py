"""SIGKILL of each part under load: what was acknowledged is there, once, in order (FAULTS 1, 2, 3, 5, 7)."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from tests.conftest import MakeMosquitto
from tests.support.eventually import eventually_now
from tests.support.ledger import Http, Ledger, Load, Mqtt, Verdict, Way, judge
from tests.support.tenant import Tenant

pytestmark = pytest.mark.system

KILLS = 3


@pytest.fixture(scope="module")
def stack(own_stack: Stack) -> Stack:
    return own_stack


def numbers_of(tenant: Tenant, device: str) -> list[int]:
    """The device's messages in the order of the log."""
    rows = sorted(tenant.all("/messages", device_id=device), key=lambda row: row["sequence"])
    return [json.loads(row["payload"])["number"] for row in rows]


def new_device(way: str, victim: str) -> str:
    """Its numbers begin at 0: a test that runs once more must not find those of its first run."""
    return f"{way}-{victim}-{secrets.token_hex(3)}"


def settled(tenant: Tenant, device: str, ledger: Ledger) -> list[int]:
    """All rows once the acknowledged ones are there; fails with what is missing after a minute."""
    wanted = set(ledger.acknowledged)
    eventually_now(lambda: wanted <= set(numbers_of(tenant, device)), timeout_s=60, every_s=0.5)
    return numbers_of(tenant, device)


def under_load(way: Way, path: Path, kill: Callable[[], None], *, window: int, rate: float) -> Load:
    """Publishes while `kill` is called `KILLS` times, and a little longer."""
    load = Load(Ledger(path), way, window=window, rate=rate)
    load.start()
    for _ in range(KILLS):
        before = len(load.ledger.acknowledged)
        eventually_now(lambda: len(load.ledger.acknowledged) >= before + 5 * window, timeout_s=30)  # noqa: B023
        kill()
    before = len(load.ledger.acknowledged)
    eventually_now(lambda: len(load.ledger.acknowledged) >= before + 5 * window, timeout_s=30)
    load.leave_off.set()
    load.join(30)
    assert not load.is_alive(), "the load did not come to its end"
    return load


def restarting(stack: Stack, name: str) -> Callable[[], None]:
    def kill() -> None:
        stack.kill(name)
        stack.restart(name, ready=name in ("credentials", "gateway"))

    return kill


def hosted(stack: Stack, tenant: Tenant, device: str) -> Mqtt:
    credential = tenant.issue(device)
    return Mqtt(
        stack.nats.ports.mqtt,
        username=credential.username,
        password=credential.password,
        client_id=credential.client_id,
        topic=credential.topic(f"devices/{device}/telemetry"),
    )


@pytest.mark.parametrize("victim", ["telemetry", "ingest", "nats", "postgres", "credentials"])
@pytest.mark.timeout(480)
def test_hosted_messages_survive_the_kill_of(
    stack: Stack, tenant: Tenant, tmp_path: Path, victim: str
) -> None:
    device = new_device("k", victim)
    load = under_load(
        hosted(stack, tenant, device), tmp_path / "ledger", restarting(stack, victim), window=50, rate=2000
    )
    assert judge(load.ledger, settled(tenant, device, load.ledger)) == Verdict(0, 0, 0, 0)


@pytest.mark.parametrize("victim", ["gateway", "nats", "telemetry"])
@pytest.mark.timeout(480)
def test_messages_over_http_survive_the_kill_of(
    stack: Stack, tenant: Tenant, tmp_path: Path, victim: str
) -> None:
    device = new_device("h", victim)
    way = Http(stack.addresses.gateway, tenant.key, f"devices/{device}/telemetry")
    load = under_load(way, tmp_path / "ledger", restarting(stack, victim), window=5, rate=200)
    verdict = judge(load.ledger, settled(tenant, device, load.ledger))
    assert (verdict.lost, verdict.invented, verdict.doubled) == (0, 0, 0)


@pytest.mark.parametrize("victim", ["ingest", "nats"])
@pytest.mark.timeout(480)
def test_messages_of_an_external_broker_survive_the_kill_of(
    stack: Stack, tenant: Tenant, tmp_path: Path, mosquitto: MakeMosquitto, victim: str
) -> None:
    broker = mosquitto(users={"bridge": "secret", "device": "secret"})
    integration = tenant.post(
        "/integrations",
        {
            "name": f"plant {victim}",
            "broker_type": "external",
            "settings": {
                "host": "127.0.0.1",
                "port": broker.port,
                "username": "bridge",
                "password": "secret",
            },
        },
    )
    eventually_now(
        lambda: [i for i in tenant.get("/activity", kind="link.up")["items"] if integration["id"] in str(i)]
    )
    device = new_device("e", victim)
    way = Mqtt(
        broker.port,
        username="device",
        password="secret",
        client_id=device,
        topic=f"devices/{device}/telemetry",
    )
    load = under_load(way, tmp_path / "ledger", restarting(stack, victim), window=20, rate=500)
    assert load.broken == 0  # the broker stayed up
    verdict = judge(load.ledger, settled(tenant, device, load.ledger))
    assert (verdict.lost, verdict.invented, verdict.doubled) == (0, 0, 0)
    answer = tenant.http.delete(f"/v1/integrations/{integration['id']}")
    assert answer.status_code == 204


def test_the_oracle_sees_a_lost_an_invented_a_doubled_and_a_disordered_message(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.sent = [1, 2, 3, 4]
    ledger.acknowledge([1, 2, 3])
    assert judge(ledger, [1, 2, 3]).clean
    assert judge(ledger, [1, 2]) == Verdict(1, 0, 0, 0)
    assert judge(ledger, [1, 2, 3, 9]) == Verdict(0, 1, 0, 0)
    assert judge(ledger, [1, 2, 2, 3]) == Verdict(0, 0, 1, 0)
    assert judge(ledger, [2, 1, 3]) == Verdict(0, 0, 0, 1)
