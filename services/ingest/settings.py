"""What ingest is told by its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import SecretStr, field_validator

from runtime.settings import ServiceSettings
from services.ingest.policy import PRIVATE, Policy, networks
from services.ingest.webhooks.schedule import STANDARD, parsed


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

    webhook_timeout_s: float = 20.0
    """For a call, from the name to the end of the answer: Standard Webhooks has it between 15 and 30 s."""
    webhook_schedule: str = ",".join(map(str, STANDARD))
    """Seconds after each failed attempt until the next one; behind the last, the call is given up."""
    webhook_pause_after_s: float = 5 * 86_400.0
    """Of nothing but failures: longer than the schedule, so that the first calls have had all their attempts."""
    webhook_probe_s: float = 60.0
    """How often a call is tried besides while a receiver fails: what waits goes as soon as it is back."""
    webhook_calls_per_s: float = 50.0
    """To one webhook at most; with a hundred messages each, 5,000 messages a second."""
    webhook_ca_file: Path | None = None
    """Authorities (PEM) whose receivers are trusted beside the system's."""

    @field_validator("webhook_schedule")
    @classmethod
    def _is_schedule(cls, value: str) -> str:
        parsed(value)
        return value

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
