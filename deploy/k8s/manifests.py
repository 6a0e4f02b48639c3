"""Rendered manifests, and what rules ask of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
WORKLOADS = ("Deployment", "StatefulSet", "Job", "CronJob")
NAME = "app.kubernetes.io/name"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Container:
    """One container of a workload; `first` where it is one that only prepares."""

    spec: Object
    first: bool = False

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def module(self) -> str | None:
        """The program of ours that it runs; None for others' images."""
        args = self.spec.get("args", [])
        return args[1] if args[:1] == ["-m"] else None

    @property
    def ports(self) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for port in self.spec.get("ports", [])}


@dataclass(frozen=True)
class Workload:
    """What makes pods."""

    object: Object

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    @property
    def kind(self) -> str:
        return str(self.object["kind"])

    @property
    def lasts(self) -> bool:
        return self.kind not in ("Job", "CronJob")

    @property
    def job(self) -> Object:
        """What a Job is, or what a CronJob makes."""
        spec: Object = self.object["spec"]
        return spec["jobTemplate"]["spec"] if self.kind == "CronJob" else spec

    @property
    def pod(self) -> Object:
        spec: Object = self.job["template"]["spec"]
        return spec

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.job["template"]["metadata"]["labels"]
        return labels

    @property
    def containers(self) -> list[Container]:
        first = [Container(spec, first=True) for spec in self.pod.get("initContainers", [])]
        return [*first, *(Container(spec) for spec in self.pod["containers"])]

    @property
    def main(self) -> Container:
        """The one that the workload is named after: the first that lasts."""
        return Container(self.pod["containers"][0])

    @property
    def at_home(self) -> set[str]:
        """Names that lead a pod of it to itself."""
        aliases = [each for each in self.pod.get("hostAliases", []) if each["ip"] == LOOPBACK]
        return {name for alias in aliases for name in alias["hostnames"]}


class Manifests:
    """What one overlay renders to."""

    def __init__(self, objects: Sequence[Object]) -> None:
        self.objects = list(objects)

    def of(self, *kinds: str) -> Iterator[Object]:
        return (item for item in self.objects if item["kind"] in kinds)

    def find(self, kind: str, name: str) -> Object | None:
        return next((item for item in self.of(kind) if item["metadata"]["name"] == name), None)

    @property
    def workloads(self) -> list[Workload]:
        return [Workload(item) for item in self.of(*WORKLOADS)]

    def config(self, name: str) -> dict[str, str]:
        """A ConfigMap's values."""
        held = self.find("ConfigMap", name) or {}
        data: dict[str, str] = held.get("data", {})
        return data

    def environment(self, container: Container) -> dict[str, str]:
        """What a container is told; what comes from a Secret or a field is empty here."""
        told: dict[str, str] = {}
        for source in container.spec.get("envFrom", []):
            if "configMapRef" in source:
                told |= self.config(source["configMapRef"]["name"])
        for entry in container.spec.get("env", []):
            told[entry["name"]] = entry.get("value", "")
        return told


def selects(selector: Object | None, labels: dict[str, str]) -> bool:
    """A label selector, as Kubernetes understands it; an empty one selects everything."""
    if selector is None:
        return False
    wanted: dict[str, str] = selector.get("matchLabels", {})
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    for expression in selector.get("matchExpressions", []):
        value, values = labels.get(expression["key"]), expression.get("values", [])
        if not {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[expression["operator"]]:
            return False
    return True


def decoded(secret: Object) -> dict[str, str]:
    """A Secret's values."""
    return {key: base64.b64decode(value).decode() for key, value in secret.get("data", {}).items()}
