"""Tenants of one running platform."""

from collections.abc import Callable, Iterator

import pytest

from deploy.local.stack import Stack
from tests.support.tenant import Tenant


@pytest.fixture(scope="module")
def new_tenant(stack: Stack) -> Iterator[Callable[[str], Tenant]]:
    tenants: list[Tenant] = []

    def make(name: str) -> Tenant:
        tenants.append(Tenant(stack, name))
        return tenants[-1]

    yield make
    for tenant in tenants:
        tenant.close()


@pytest.fixture(scope="module")
def tenant(new_tenant: Callable[[str], Tenant]) -> Tenant:
    return new_tenant("Acme")
