"""What the gateway is told by its environment, and its limits with the reason beside each."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr, model_validator

from runtime.settings import ServiceSettings
from services.gateway.issuer_keys import trustworthy


class GatewaySettings(ServiceSettings):
    http_host: str = "127.0.0.1"
    http_port: int = 8000
    public_mqtt_url: str = "mqtt://127.0.0.1:1883"
    """What devices are told to connect to, by TCP."""
    public_mqtt_ws_url: str = "ws://127.0.0.1:9001/mqtt"
    """The same by WebSocket."""
    public_mqtts_url: str | None = None
    """The same by TLS, where there is a certificate."""
    public_mqtt_wss_url: str | None = None
    """The same by WebSocket over TLS."""
    mqtt_tls_ca: Path | None = None
    """The authority of that certificate, PEM, for devices to download; none for a public one."""
    requests_max: int = 1000
    """Under way at once, streams apart: more are told to come again, so that memory stays bounded."""
    request_timeout_s: float = 30.0
    """From the first header to the answer; the slowest call between services may take 12 s."""
    ingest_timeout_s: float = 10.0
    """How long an HTTP ingest waits for the log before it is told to try again."""
    ingest_idle_s: float = 60.0
    """An ingest stream that sends nothing for this long is ended: proxies would close it without a word."""
    ingests_max: int = 100
    """Ingest streams in this process: each holds up to 1,000 lines on their way to the log."""
    ingests_per_organization_max: int = 10
    """One tenant cannot take the others' places."""
    streams_max: int = 1000
    """Readers of /v1/stream in this process: one that lags holds up to 0.5 MiB (benchmarks/live.py has a thousand)."""
    streams_per_organization_max: int = 100
    """Enough for a wall of dashboards in each plant; one tenant cannot take the others' places."""
    stream_lasts_s: float = 300.0
    """A reader resumes after this: so that streams follow deployments and rebalance over replicas."""
    stream_send_s: float = 20.0
    """A reader that takes nothing for this long is cut off; it resumes where it was."""
    session_key: SecretStr | None = None
    """What the console's sessions are sealed with, the same in every replica; by default derived from the seed."""
    session_lasts_s: float = 12 * 3600.0
    """A working day: then the key is asked for again."""
    exports_max: int = 20
    """Exports in this process: each holds two pages of 1 MiB, one as Parquet a group of rows of some 30 MiB."""
    exports_per_organization_max: int = 2
    """Under way at once: one tenant cannot take the others' places, nor keep the database busy."""
    export_send_s: float = 60.0
    """A client that takes nothing for this long is cut off; it resumes behind the last line that it has."""
    export_patience_s: float = 60.0
    """How long an export that has begun waits for telemetry to come back before it is broken off."""
    oidc_issuer: str = ""
    """Whose tokens are taken beside API keys, as `iss` names it; empty: nobody's."""
    oidc_audience: str = ""
    """What a token's `aud` must name; needed with an issuer: else a token for any other service would do."""
    oidc_organization_claim: str = "organization"
    """The claim that holds the organization's id."""
    oidc_scopes_claim: str = "scope"
    """The claim that holds scopes, as a list or with spaces between."""

    @model_validator(mode="after")
    def _whole_trust(self) -> GatewaySettings:
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError("OIDC_ISSUER needs OIDC_AUDIENCE")
        if self.oidc_issuer and not trustworthy(self.oidc_issuer):
            raise ValueError("OIDC_ISSUER must be an https address")
        return self


KIB, MIB = 1024, 1024 * 1024
BODY_BYTES_MAX = 64 * KIB
"""Of ordinary requests: 100 topics and 50 filters of full length fit."""
MESSAGE_BODY_BYTES_MAX = 384 * KIB
"""Of requests that carry a payload: 256 KiB as base64, and what stands around it."""
BATCH_BODY_BYTES_MAX = 1 * MIB
"""Of a batch to publish: its topics and payloads have 640 KiB, so that it is one message on the bus."""
LINES_BODY_BYTES_MAX = 4 * MIB
"""Of an NDJSON body: memory for some hundred of them at once is there."""
EXPORT_LASTS_S = 4 * 3600.0
"""From the first header to the last byte; what was cut off is resumed."""
CREDENTIALS_LINES_MAX = 10_000  # a fleet; more in several requests
LINES_MAX = 1000
"""Of an NDJSON body: two batches of the log."""
HEADERS_BYTES_MAX = 16 * KIB
"""All request headers together: ours are some hundred bytes, proxies add more."""
