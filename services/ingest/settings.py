"""What ingest is told by its environment."""

from __future__ import annotations

from typing import Literal

from pydantic import SecretStr, field_validator

from runtime.settings import ServiceSettings
from services.ingest.policy import PRIVATE, Policy, networks


class Settings(ServiceSettings):
    hosted_broker: Literal["nats", "mosquitto"] = "nats"
    devices_nats_seed: SecretStr
    """The nkey seed of ingest's user in the DEVICES account: it hears what devices publish."""
    hosted_mqtt_url: str = "mqtt://127.0.0.1:1883"
    """The hosted broker's own listener: publishes with QoS and retain go out through it."""
    hosted_mqtt_username: str = "platform"
    hosted_mqtt_password: SecretStr
    allow_private_addresses: bool = False
    """For one's own network only: tenants could reach whatever this process reaches."""
    allowed_networks: str = ""
    """Beside the public internet, with commas between: `10.20.0.0/16,fd00:1::/32`. Narrower than the above."""
    qos0_waiting_max: int = 50_000
    """Hosted QoS 0 messages that may wait for the log (about 30 MB): two seconds at full speed."""
    link_inflight_max: int = 1_500
    """Messages of one link that may wait for the log; above it its socket is not read. Three of the log's
    batches keep it busy; every further one is what another link's message waits behind. Brokers keep 20 to
    1,000 unacknowledged, so that only QoS 0 and brokers without a limit come so far."""

    @field_validator("allowed_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        networks(*_parts(value))
        return value

    @property
    def policy(self) -> Policy:
        """Which addresses tenants' brokers may have."""
        private = PRIVATE if self.allow_private_addresses else ()
        return Policy((*private, *networks(*_parts(self.allowed_networks))))


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
