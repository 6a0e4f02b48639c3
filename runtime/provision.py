"""Makes the streams of `contracts.streams`: idempotent, and never weakens one that exists.

`python -m runtime.provision` runs once before the services (a Job in Kubernetes), as the only user that may.
Order matters: the server's `$MQTT_msgs` exists only after an MQTT client of the device account, MESSAGES
sources it, and no device may be let in before that source is attached (the credentials service asks the same).
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
from pydantic import SecretStr

from contracts.streams import MESSAGES, STREAMS, Stream
from runtime import jetstream, observe
from runtime.bus import Bus, connect, tls_context
from runtime.jetstream import STREAM_NOT_FOUND, ApiError
from runtime.observe import log
from runtime.settings import BusSettings, load

_log = log(part="provision")
ATTACH_PATIENCE_S = 60.0  # the server tries a source again after ever longer pauses


class ProvisionSettings(BusSettings):
    hosted_mqtt_url: str | None = None
    """The hosted broker's TCP address; None where it is not nats-server."""
    hosted_mqtt_username: str = "platform"
    hosted_mqtt_password: SecretStr = SecretStr("")
    stream_replicas: int = 1
    """3 on a NATS cluster."""
    storage_bytes: int | None = None
    """What all streams together may reserve; their own limits are scaled down to it (the server refuses a sum
    over its `max_file_store`)."""


def scaled(streams: tuple[Stream, ...], budget: int | None) -> float:
    """The factor by which limits shrink so that their sum fits the budget."""
    total = sum(stream.max_bytes for stream in streams if stream.max_bytes > 0)
    return 1.0 if budget is None or total <= budget else budget / total


def merged(held: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """What an existing stream's configuration becomes: limits only ever grow, immutability stays.

    Whoever gave a stream more room or a longer life than we ask for keeps it.
    """
    result = {**held, **wanted}
    for limit in ("max_bytes", "max_msg_size", "max_age"):
        ours, theirs = wanted[limit], held.get(limit, 0)
        unlimited = 0 if limit == "max_age" else -1
        result[limit] = unlimited if unlimited in (ours, theirs) else max(ours, theirs)
    result["num_replicas"] = max(wanted["num_replicas"], held.get("num_replicas", 1))
    for flag in ("deny_delete", "deny_purge"):
        result[flag] = bool(held.get(flag)) or wanted[flag]
    return result


async def provision_stream(bus: Bus, stream: Stream, *, replicas: int, factor: float) -> str:
    """Creates or completes one stream; says which: `created`, `changed` or `unchanged`."""
    wanted = stream.config(replicas)
    if stream.max_bytes > 0:
        wanted["max_bytes"] = int(stream.max_bytes * factor)
    try:
        held = (await jetstream.request(bus.client, f"$JS.API.STREAM.INFO.{stream.name}"))["config"]
    except ApiError as error:
        if error.code != STREAM_NOT_FOUND:
            raise
        await jetstream.request(bus.client, f"$JS.API.STREAM.CREATE.{stream.name}", wanted, timeout_s=10)
        return "created"
    config = merged(held, wanted)
    if config == held:
        return "unchanged"
    await jetstream.request(bus.client, f"$JS.API.STREAM.UPDATE.{stream.name}", config, timeout_s=10)
    return "changed"


async def source_attached(bus: Bus) -> bool:
    """Whether the server's own durable consumer that fills MESSAGES from `$MQTT_msgs` exists."""
    source = MESSAGES.sources[0]
    try:
        answer = await jetstream.request(
            bus.client, f"{source.api_prefix}.CONSUMER.NAMES.{source.stream}", {}
        )
    except ApiError as error:
        if error.code == STREAM_NOT_FOUND:
            return False
        raise
    return any(name.startswith("JS_SRC_") for name in answer.get("consumers") or [])


async def _make_mqtt_stream(settings: ProvisionSettings) -> None:
    """One connect as the platform's own client: the server then makes `$MQTT_msgs`."""
    assert settings.hosted_mqtt_url is not None
    address = urlsplit(settings.hosted_mqtt_url)
    async with aiomqtt.Client(
        address.hostname or "127.0.0.1",
        address.port or (8883 if address.scheme == "mqtts" else 1883),
        username=settings.hosted_mqtt_username,
        password=settings.hosted_mqtt_password.get_secret_value(),
        identifier="platform-provision",
        tls_context=tls_context(settings.platform_ca) if address.scheme == "mqtts" else None,
    ):
        pass


async def provision(settings: ProvisionSettings) -> None:
    bus = await connect(settings, "provision")
    try:
        if settings.hosted_mqtt_url is not None:
            await _make_mqtt_stream(settings)
        factor = scaled(STREAMS, settings.storage_bytes)
        for stream in STREAMS:
            outcome = await provision_stream(bus, stream, replicas=settings.stream_replicas, factor=factor)
            _log.info("stream", name=stream.name, outcome=outcome)
        if settings.hosted_mqtt_url is not None:
            async with asyncio.timeout(ATTACH_PATIENCE_S):
                while not await source_attached(bus):  # noqa: ASYNC110  # the server tells nobody when
                    await asyncio.sleep(0.1)
            _log.info("source attached", stream=MESSAGES.name)
    finally:
        await bus.broker.stop()


def main() -> None:
    settings = load(ProvisionSettings)
    observe.set_up("provision")
    asyncio.run(provision(settings))


if __name__ == "__main__":
    main()
