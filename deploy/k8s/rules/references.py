"""What names another thing names one that is there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from deploy.k8s import certificates, secrets
from deploy.k8s.manifests import Container, Manifests, Workload, selects

OPERATORS_OWN = "backup-credentials"
"""The one Secret that nobody can make for them."""


@cache
def example() -> secrets.Content:
    """Secrets as an installation has them, made once a process."""
    return secrets.make()


@cache
def _certificates() -> secrets.Content:
    return certificates.make()


def selectors(manifests: Manifests) -> Iterator[str]:
    """Services, budgets and policies select pods that there are; a workload selects its own."""
    labels = [workload.labels for workload in manifests.workloads]
    if any(manifests.of("Cluster")):
        labels += [cluster["spec"]["inheritedMetadata"]["labels"] for cluster in manifests.of("Cluster")]
    for item in manifests.of("Service", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor"):
        spec = item["spec"]
        selector = spec.get("podSelector", spec.get("selector"))
        if item["kind"] == "Service":
            selector = {"matchLabels": selector}
        if not any(selects(selector, each) for each in labels):
            yield f"{item['kind']} {item['metadata']['name']}: selects no pod"
    for workload in manifests.workloads:
        selector = workload.object["spec"].get("selector")
        if workload.lasts and not selects(selector, workload.labels):
            yield f"{workload.kind} {workload.name}: does not select its own pods"
    for item in manifests.of("HorizontalPodAutoscaler", "ScaledObject"):
        target = item["spec"]["scaleTargetRef"]
        if manifests.find(target.get("kind", "Deployment"), target["name"]) is None:
            yield f"{item['kind']} {item['metadata']['name']}: scales {target['name']}, which is not there"


def scaled(manifests: Manifests) -> Iterator[str]:
    """Each Deployment's replicas are said by one alone: else an apply takes away what load has added."""
    for workload in manifests.workloads:
        if workload.kind != "Deployment":
            continue
        scalers = [
            item
            for item in manifests.of("HorizontalPodAutoscaler", "ScaledObject")
            if item["spec"]["scaleTargetRef"]["name"] == workload.name
        ]
        where = f"Deployment {workload.name}"
        if len(scalers) != 1:
            yield f"{where}: {len(scalers)} autoscalers"
        if scalers and "replicas" in workload.object["spec"]:
            yield f"{where}: says its replicas, which {scalers[0]['kind']} {workload.name} decides"
        for item in scalers:
            least, most = _bounds(item)
            if not 0 < least <= most:
                yield f"{item['kind']} {item['metadata']['name']}: from {least} to {most} replicas"


def housed(manifests: Manifests) -> Iterator[str]:
    """What scales an installation is asked of its own namespace: a Prometheus may watch several."""
    for item in manifests.of("ScaledObject"):
        for trigger in item["spec"]["triggers"]:
            query = trigger["metadata"].get("query")
            if query and f'{{namespace="{item["metadata"]["namespace"]}"' not in query:
                yield f"ScaledObject {item['metadata']['name']}: asks for other installations, too: {query}"


def _bounds(scaler: dict[str, Any]) -> tuple[int, int]:
    spec = scaler["spec"]
    if scaler["kind"] == "ScaledObject":  # which would go down to none where nothing is said
        return spec.get("minReplicaCount", 0), spec.get("maxReplicaCount", 100)
    return spec.get("minReplicas", 1), spec["maxReplicas"]


def ports(manifests: Manifests) -> Iterator[str]:
    """A Service's port is one that its pods open; a route's is one of its Service."""
    for service in manifests.of("Service"):
        name, selector = service["metadata"]["name"], {"matchLabels": service["spec"]["selector"]}
        for workload in manifests.workloads:
            if selects(selector, workload.labels):
                opened = {k: v for container in workload.containers for k, v in container.ports.items()}
                for port in service["spec"]["ports"]:
                    target = port.get("targetPort", port["port"])
                    if target not in opened and target not in opened.values():
                        yield f"Service {name}: port {target} is not open in {workload.name}"
    for route in manifests.of("HTTPRoute", "TLSRoute"):
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                service = manifests.find("Service", backend["name"]) or {"spec": {"ports": []}}
                if backend["port"] not in [port["port"] for port in service["spec"]["ports"]]:
                    yield f"{route['kind']} {route['metadata']['name']}: no Service {backend['name']}:{backend['port']}"


def names(manifests: Manifests) -> Iterator[str]:
    """Accounts, ConfigMaps, claims, Secrets and their keys exist, or are made by whom the installation has for it."""
    held = made(manifests)
    for workload in manifests.workloads:
        where = f"{workload.kind} {workload.name}"
        account = workload.pod.get("serviceAccountName", "default")
        if manifests.find("ServiceAccount", account) is None:
            yield f"{where}: no ServiceAccount {account}"
        for kind, name, keys in _asked(workload):
            if kind != "Secret":
                if manifests.find(kind, name) is None:
                    yield f"{where}: no {kind} {name}"
            elif name not in held:
                yield f"{where}: nobody makes the Secret {name}"
            elif missing := [key for key in keys if key not in held[name]]:
                yield f"{where}: the Secret {name} has no {', '.join(missing)}"
    for where, name, keys in _asked_by_operators(manifests):
        if name not in held:
            yield f"{where}: nobody makes the Secret {name}"
        elif missing := [key for key in keys if held[name] and key not in held[name]]:
            yield f"{where}: the Secret {name} has no {', '.join(missing)}"


def _asked_by_operators(manifests: Manifests) -> Iterator[tuple[str, str, list[str]]]:
    login = ["username", "password"]
    for cluster in manifests.of("Cluster"):
        where = f"Cluster {cluster['metadata']['name']}"
        yield where, cluster["spec"]["bootstrap"]["initdb"]["secret"]["name"], login
        for role in cluster["spec"]["managed"]["roles"]:
            yield where, role["passwordSecret"]["name"], login
    for store in manifests.of("ObjectStore"):
        for asked in store["spec"]["configuration"]["s3Credentials"].values():
            yield f"ObjectStore {store['metadata']['name']}", asked["name"], [asked["key"]]
    for issuer in manifests.of("Issuer"):
        if "ca" in issuer["spec"]:
            yield f"Issuer {issuer['metadata']['name']}", issuer["spec"]["ca"]["secretName"], ["tls.key"]


def stored(manifests: Manifests) -> Iterator[str]:
    """An entry of the store has the name of its Secret, by which `deploy.k8s.secrets` prints it."""
    stores = {item["metadata"]["name"] for item in manifests.of("SecretStore")}
    known = {*example(), OPERATORS_OWN}
    for item in manifests.of("ExternalSecret"):
        where, spec = f"ExternalSecret {item['metadata']['name']}", item["spec"]
        if spec["secretStoreRef"]["name"] not in stores:
            yield f"{where}: no SecretStore {spec['secretStoreRef']['name']}"
        entry = spec["dataFrom"][0]["extract"]["key"].rpartition("/")[2]
        if not item["metadata"]["name"] == spec["target"]["name"] == entry or entry not in known:
            yield f"{where}: takes the entry {entry} for the Secret {spec['target']['name']}"


def made(manifests: Manifests) -> dict[str, set[str]]:
    """Secrets by name, and their keys: by External Secrets or by hand (`deploy.k8s.secrets`), and by operators."""
    by_hand = {name: set(values) for name, values in example().items()}
    external = {item["spec"]["target"]["name"] for item in manifests.of("ExternalSecret")}
    asks = bool(external)
    found = {name: keys for name, keys in by_hand.items() if not asks or name in external}
    found |= {name: set[str]() for name in external - by_hand.keys()}  # its keys are the installation's own
    for certificate in manifests.of("Certificate"):
        found[certificate["spec"]["secretName"]] = {"tls.crt", "tls.key", "ca.crt"}
    for cluster in manifests.of("Cluster"):
        found[f"{cluster['metadata']['name']}-ca"] = {"ca.crt", "ca.key"}
    if not any(manifests.of("Certificate")):
        found |= {name: set(values) for name, values in _certificates().items()}
    return found


def _asked(workload: Workload) -> Iterator[tuple[str, str, list[str]]]:
    for volume in workload.pod.get("volumes", []):
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], []
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"], []
        if "secret" in volume:
            items: list[Any] = volume["secret"].get("items", [])
            yield "Secret", volume["secret"]["secretName"], [item["key"] for item in items]
    for container in workload.containers:
        yield from _asked_by(container)


def _asked_by(container: Container) -> Iterator[tuple[str, str, list[str]]]:
    for source in container.spec.get("envFrom", []):
        for kind, field in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if field in source:
                yield kind, source[field]["name"], []
    for entry in container.spec.get("env", []):
        if reference := entry.get("valueFrom", {}).get("secretKeyRef"):
            yield "Secret", reference["name"], [reference["key"]]


def file_of(workload: Workload, container: Container, path: str) -> tuple[str, str] | None:
    """The Secret and key that a container finds at a path; None where nothing is mounted there."""
    volumes = {volume["name"]: volume for volume in workload.pod.get("volumes", [])}
    for mount in container.spec.get("volumeMounts", []):
        folder, _, name = path.rpartition("/")
        source = volumes.get(mount["name"], {}).get("secret")
        if source is None or folder != mount["mountPath"]:
            continue
        items = {item["path"]: item["key"] for item in source.get("items", [])}
        if items and name not in items:
            return None
        return source["secretName"], items.get(name, name)
    return None
