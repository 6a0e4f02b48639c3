"""What programs are told is what their settings know, and all that they need: the classes themselves are asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings

from deploy.k8s.manifests import Container, Manifests, Workload
from deploy.k8s.nats_conf import CLUSTER_PORT, PORTS
from deploy.k8s.rules.references import example, file_of, made
from runtime.provision import ProvisionSettings
from runtime.settings import BusSettings
from services.credentials.broker_log import BrokerLogSettings
from services.credentials.mosquitto.settings import MosquittoSettings, RestoreSettings
from services.credentials.settings import CredentialsSettings
from services.gateway.settings import GatewaySettings
from services.ingest.settings import Settings as IngestSettings
from services.relay.settings import RelaySettings
from services.telemetry.migrate import MigrateSettings
from services.telemetry.settings import Settings as TelemetrySettings

SETTINGS: dict[str, type[BaseSettings]] = {
    "services.gateway": GatewaySettings,
    "services.credentials": CredentialsSettings,
    "services.ingest": IngestSettings,
    "services.telemetry": TelemetrySettings,
    "services.relay": RelaySettings,
    "services.telemetry.migrate": MigrateSettings,
    "services.credentials.mosquitto": RestoreSettings,
    "services.credentials.broker_log": BrokerLogSettings,
    "runtime.provision": ProvisionSettings,
    "runtime.backup": BusSettings,
}
LISTENS = {
    "services.gateway": ("http_port", "health_port"),
    "services.relay": ("mqtts_port", "mqtt_wss_port", "health_port"),
}
"""Settings that are ports of the program's own."""
LIBRARIES = ("OTEL_", "PGSSL")
"""Variables that libraries read: OpenTelemetry's, and libpq's, which asyncpg honours."""


def _ours(manifests: Manifests) -> Iterator[tuple[Workload, Container, str]]:
    for workload in manifests.workloads:
        for container in workload.containers:
            if container.module is not None:
                yield workload, container, f"{workload.kind} {workload.name}"


def _classes(module: str, told: dict[str, str]) -> list[type[BaseSettings]]:
    both = module == "services.credentials" and told.get("HOSTED_BROKER") == "mosquitto"
    return [SETTINGS[module], *([MosquittoSettings] if both else [])]


def known(manifests: Manifests) -> Iterator[str]:
    """No name that nobody reads: a slip of the pen would be a setting that silently does nothing."""
    for _, container, where in _ours(manifests):
        assert container.module is not None
        told = manifests.environment(container)
        fields = {field.upper() for each in _classes(container.module, told) for field in each.model_fields}
        for name in told:
            if (
                not name.startswith(LIBRARIES)
                and name not in fields
                and name.removesuffix("_FILE") not in fields
            ):
                yield f"{where}: {name} is no setting of {container.module}"


def valid(manifests: Manifests) -> Iterator[str]:
    """The settings hold, with secrets as they are made; files that are named are mounted."""
    keys, values = made(manifests), example()
    for workload, container, where in _ours(manifests):
        assert container.module is not None
        told = manifests.environment(container)
        given: dict[str, Any] = {}
        fields = {field for each in _classes(container.module, told) for field in each.model_fields}
        for name, value in told.items():
            field = name.lower()
            if name.endswith("_FILE") and field not in fields and value:
                found = file_of(workload, container, value)
                if found is None or found[1] not in keys.get(found[0], ()):
                    yield f"{where}: {name} names {value}, which nobody mounts"
                    continue
                field, value = name.removesuffix("_FILE").lower(), values[found[0]][found[1]]
            given[field] = value
        for each in _classes(container.module, told):
            own = {field: given[field] for field in each.model_fields if field in given}
            yield from _problems(where, each, own)
            for field, annotation in _paths(each):
                if (path := str(own.get(field) or "")).startswith("/run/") and (
                    (at := file_of(workload, container, path)) is None or at[1] not in keys.get(at[0], ())
                ):
                    yield f"{where}: {field.upper()} names {path}, which nobody mounts ({annotation})"


def _problems(where: str, settings: type[BaseSettings], own: dict[str, Any]) -> Iterator[str]:
    try:
        _Validated.check(settings, own)
    except ValidationError as error:
        for problem in error.errors(include_input=False):
            yield f"{where}: {'.'.join(map(str, problem['loc'])).upper()}: {problem['msg']}"


class _Validated(BaseModel):
    @staticmethod
    def check(settings: type[BaseSettings], own: dict[str, Any]) -> None:
        """Of these values alone: this process's own environment is not looked at."""
        settings.__pydantic_validator__.validate_python(own)


def _paths(settings: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    for name, field in settings.model_fields.items():
        if field.annotation is Path or Path in get_args(field.annotation):
            yield name, settings.__name__


def listening(manifests: Manifests) -> Iterator[str]:
    """The ports that a container declares are those that its settings open."""
    for workload, container, where in _ours(manifests):
        if not workload.lasts or container.first:
            continue
        assert container.module is not None
        told = manifests.environment(container)
        fields = LISTENS.get(container.module, ("health_port",))
        opened = {int(told.get(field.upper(), 0)) for field in fields} - {0}
        if opened != set(container.ports.values()):
            yield f"{where}: declares {sorted(container.ports.values())}, but opens {sorted(opened)}"
        for host in ("HTTP_HOST", "HEALTH_HOST", "RELAY_HOST"):
            if told.get(host, "0.0.0.0") != "0.0.0.0":  # noqa: S104
                yield f"{where}: {host} is {told[host]}: nobody outside the pod reaches it"
    for workload in manifests.workloads:
        if workload.name == "nats":
            opened = {PORTS.client, PORTS.mqtt, PORTS.websocket, PORTS.monitor, CLUSTER_PORT}
            if opened != set(workload.main.ports.values()):
                yield f"StatefulSet nats: declares other ports than nats.conf opens: {sorted(opened)}"
