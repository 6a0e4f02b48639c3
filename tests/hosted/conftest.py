"""The whole platform with each hosted broker in turn: the same tests see the same behaviour."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from deploy.local.mosquitto import find_broker, find_plugin
from deploy.local.stack import Stack
from tests.conftest import MakeStack
from tests.support.tenant import Tenant


def started(make_stack: MakeStack, hosted_broker: str) -> Iterator[Stack]:
    if hosted_broker == "mosquitto" and not (find_broker() and find_plugin()):
        pytest.skip("Mosquitto is not installed: run tests/support/install.sh as root")
    platform = make_stack(hosted_broker=hosted_broker, extra_environment={"MOSQUITTO_COMPARE_S": "1"})
    yield platform
    platform.stop()


@pytest.fixture(scope="module", params=["nats", "mosquitto"])
def stack(request: pytest.FixtureRequest, make_stack: MakeStack) -> Iterator[Stack]:
    """On every driver."""
    yield from started(make_stack, request.param)


@pytest.fixture(scope="module")
def mosquitto_stack(make_stack: MakeStack) -> Iterator[Stack]:
    """For what only Mosquitto does."""
    yield from started(make_stack, "mosquitto")


@pytest.fixture(scope="module")
def new_tenant() -> Iterator[Callable[[Stack, str], Tenant]]:
    tenants: list[Tenant] = []

    def make(stack: Stack, name: str) -> Tenant:
        tenants.append(Tenant(stack, name))
        return tenants[-1]

    yield make
    for tenant in tenants:
        tenant.close()


@pytest.fixture(scope="module")
def tenant(stack: Stack, new_tenant: Callable[[Stack, str], Tenant]) -> Tenant:
    return new_tenant(stack, "Acme")


def port_of(stack: Stack, *, websockets: bool = False) -> int:
    """Where devices connect."""
    return urlsplit(stack.addresses.mqtt_ws if websockets else stack.addresses.mqtt).port or 0


@pytest.fixture(scope="module")
def port(stack: Stack) -> int:
    return port_of(stack)
