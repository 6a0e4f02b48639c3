"""The hosted broker's messages by another decoder, from its change on."""

from __future__ import annotations

import pytest

from deploy.local.stack import Stack
from tests.support.eventually import eventually_now
from tests.support.tenant import Tenant, connect, disconnect

pytestmark = pytest.mark.system
VMARK = b'{"device":"x","handle":"event","paras":{"temperature":20.9}}'


def test_another_decoder_reads_what_comes_after_its_choice(tenant: Tenant, stack: Stack) -> None:
    device = tenant.issue("v1")
    client = device.client()
    connect(client, stack.nats.ports.mqtt)

    def read_as() -> list[str]:
        """The metrics of the newest message, published for the purpose."""
        client.publish(device.topic("devices/v1/telemetry"), VMARK, qos=1).wait_for_publish(10)
        newest = tenant.get("/telemetry", device_id="v1")["items"][:1]
        return sorted(newest[0]["metrics"]) if newest else []

    eventually_now(lambda: read_as() == ["handle", "paras.temperature"])  # the standard decoder

    changed = tenant.http.patch(
        "/v1/integrations/hosted", json={"decoder": {"name": "vmark"}, "name": "Ours"}
    ).json()

    assert (changed["id"], changed["name"], changed["decoder"]["name"]) == ("hosted", "Ours", "vmark")
    assert tenant.get("/integrations/hosted") == changed
    eventually_now(lambda: read_as() == ["temperature"])
    disconnect(client)
    [noted] = eventually_now(lambda: tenant.get("/activity", kind="integration.hosted-changed")["items"])
    assert noted["details"] == {"decoder": "vmark"}
