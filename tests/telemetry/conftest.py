"""A telemetry service of the module's own, with its log and its database."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.nats import NatsServer
from deploy.local.postgres import DatabaseUrls
from tests.conftest import RunService
from tests.support.service import Service
from tests.telemetry.world import World, world


@pytest.fixture(scope="module")
def telemetry(run_service: RunService, own_nats: NatsServer, database: DatabaseUrls) -> Service:
    return run_service("telemetry", own_nats, database)


@pytest.fixture
async def here(telemetry: Service, own_nats: NatsServer, database: DatabaseUrls) -> AsyncIterator[World]:
    """Speaks to the running service."""
    async with world(own_nats, database) as made:
        yield made


@pytest.fixture(scope="module")
def services(run_service: RunService, own_nats: NatsServer, database: DatabaseUrls) -> list[Service]:
    """The registry's owner, and telemetry."""
    return [run_service("credentials", own_nats), run_service("telemetry", own_nats, database)]


@pytest.fixture
async def there(
    services: list[Service], own_nats: NatsServer, database: DatabaseUrls
) -> AsyncIterator[World]:
    """Speaks to both."""
    async with world(own_nats, database) as made:
        yield made
