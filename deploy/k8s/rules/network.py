"""NetworkPolicies allow what really is spoken, both ends of it, and nothing else.

What really is spoken is read off the settings (every address that a program is told), off routes and monitors; only
what no manifest says stands here as data.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from deploy.k8s import secrets
from deploy.k8s.manifests import NAME, Container, Manifests, Object, Workload, selects
from deploy.k8s.nats_conf import CLUSTER_PORT
from deploy.k8s.rules.references import example, file_of
from services.ingest.policy import ALSO_FORBIDDEN, METADATA, PRIVATE, AnyNetwork

PORTS = {
    "nats": 4222,
    "tls": 4222,
    "mqtt": 1883,
    "mqtts": 8883,
    "postgresql+asyncpg": 5432,
    "http": 80,
    "https": 443,
}
PAIRS = {"RELAY_MQTT_PORT": "RELAY_MQTT_HOST", "RELAY_WS_PORT": "RELAY_MQTT_HOST"}
PUBLIC = "PUBLIC_"  # what devices are told; nothing here connects to it
INTERNET = "the internet"
DATABASE = "database"
DATABASE_LABELS = {"hybridmq.io/database": "main"}
DNS = "namespace kube-system"
GATEWAY = "namespace gateway"
MONITORING = "namespace monitoring"


class Edge(NamedTuple):
    """Who speaks to whom, at which port of the latter's pods; a text for other than one port of TCP."""

    source: str
    target: str
    port: int | str

    def __str__(self) -> str:
        return f"{self.source} → {self.target}:{self.port}"


OUTGOING = {Edge("ingest", INTERNET, "1-65535")}
"""Tenants' brokers are at any port."""
_OPERATOR = "namespace cnpg-system"
OF_THE_OPERATOR = {
    Edge(DATABASE, DATABASE, 5432),
    Edge(DATABASE, DATABASE, 8000),
    Edge(_OPERATOR, DATABASE, 8000),
    Edge(MONITORING, DATABASE, 9187),
    Edge(DATABASE, _OPERATOR, 9090),
    Edge(DATABASE, INTERNET, 443),
    Edge(DATABASE, INTERNET, 6443),
}
"""Of CloudNativePG: copies, status, metrics, the backup plugin, the object store, the Kubernetes API."""


def exact(manifests: Manifests) -> Iterator[str]:
    """One line for every connection that is allowed and not needed, or needed and not allowed, by each end."""
    needed = expected(manifests)
    pods = _pods(manifests)
    for direction, at in (("egress", 0), ("ingress", 1)):
        allowed = _allowed(manifests, pods, direction)
        wanted = {edge for edge in needed if edge[at] in pods}
        if direction == "egress":
            wanted |= {Edge(name, DNS, port) for name in pods for port in (53, "53/UDP")}
        for edge in sorted(wanted - allowed, key=str):
            yield f"NetworkPolicies: {edge} is needed, and {direction} does not allow it"
        for edge in sorted(allowed - wanted, key=str):
            yield f"NetworkPolicies: {edge} is allowed by {direction}, and nobody needs it"


def denied(manifests: Manifests) -> Iterator[str]:
    """What no policy speaks of is forbidden: every pod is under one for both directions."""
    for name, labels in _pods(manifests).items():
        for kind in ("Ingress", "Egress"):
            if not any(
                kind in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], labels)
                for policy in manifests.of("NetworkPolicy")
            ):
                yield f"{name}: no policy of kind {kind}: everything is allowed"


def public(manifests: Manifests) -> Iterator[str]:
    """Tenants choose where ingest connects: to no address that its own policy calls ours or nobody's (SSRF)."""
    labels = _pods(manifests).get("ingest", {})
    for policy in manifests.of("NetworkPolicy"):
        if not labels or not selects(policy["spec"]["podSelector"], labels):
            continue
        for rule in policy["spec"].get("egress", []):
            for block in (peer["ipBlock"] for peer in rule.get("to", []) if "ipBlock" in peer):
                for held in _open_to(block):
                    yield f"NetworkPolicy {policy['metadata']['name']}: ingest may connect to {held}"


def _open_to(block: Object) -> Iterator[str]:
    whole = ip_network(block["cidr"])
    left_out = [ip_network(text) for text in block.get("except", [])]
    for held in (*METADATA, *PRIVATE, *ALSO_FORBIDDEN):
        if held.version == whole.version and held.overlaps(whole) and not _within(held, left_out):
            yield str(held)


def _within(held: AnyNetwork, others: list[AnyNetwork]) -> bool:
    return any(
        held.version == other.version and held.prefixlen >= other.prefixlen and held.overlaps(other)
        for other in others
    )


def expected(manifests: Manifests) -> set[Edge]:
    """All connections of an overlay."""
    edges = {edge for workload in manifests.workloads for edge in _told(manifests, workload)}
    names = {_name(workload) for workload in manifests.workloads}
    edges |= {edge for edge in OUTGOING if edge.source in names}
    if "nats" in names:
        edges.add(Edge("nats", "nats", CLUSTER_PORT))
    if any(manifests.of("Cluster")):
        edges |= OF_THE_OPERATOR
    for route in manifests.of("HTTPRoute", "TLSRoute"):
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                edges.add(Edge(GATEWAY, *_behind(manifests, backend["name"], backend["port"])))
    for monitor in manifests.of("PodMonitor"):
        for workload in manifests.workloads:
            if selects(monitor["spec"]["selector"], workload.labels):
                opened = {k: v for container in workload.containers for k, v in container.ports.items()}
                for endpoint in monitor["spec"]["podMetricsEndpoints"]:
                    if endpoint["port"] in opened:
                        edges.add(Edge(MONITORING, _name(workload), opened[endpoint["port"]]))
    return edges


def _told(manifests: Manifests, workload: Workload) -> Iterator[Edge]:
    values = example()
    for container in workload.containers:
        told = _values(manifests, workload, container, values)
        for name, value in told.items():
            if name.startswith(PUBLIC):
                continue
            if name in PAIRS:
                yield Edge(_name(workload), *_behind(manifests, told[PAIRS[name]], int(value)))
            elif name.endswith(("_URL", "_ENDPOINT")):
                for address in value.split(","):
                    url = urlsplit(address)
                    if url.hostname in workload.at_home:
                        continue  # no policy speaks of what stays in a pod
                    port = url.port or PORTS[url.scheme]
                    yield Edge(_name(workload), *_behind(manifests, url.hostname or "", port))


def _values(
    manifests: Manifests, workload: Workload, container: Container, held: secrets.Content
) -> dict[str, str]:
    told = {}
    for name, value in manifests.environment(container).items():
        if name.endswith("_FILE") and (at := file_of(workload, container, value)) is not None:
            told[name.removesuffix("_FILE")] = held.get(at[0], {}).get(at[1], "")
        else:
            told[name] = value
    return told


def _behind(manifests: Manifests, host: str, port: int) -> tuple[str, int]:
    """Whose pods a Service's port leads to, and which of their ports; `<service>.<namespace>` is elsewhere."""
    if "." in host:
        return f"namespace {host.split('.')[1]}", port
    service = manifests.find("Service", host)
    if service is None:  # one that CloudNativePG makes, or a name that `references.ports` complains of
        cluster = host.removesuffix("-rw")
        return (DATABASE if manifests.find("Cluster", cluster) else host), port
    target = port
    for each in service["spec"]["ports"]:
        if each["port"] == port:
            target = each.get("targetPort", port)
    for workload in manifests.workloads:
        if selects({"matchLabels": service["spec"]["selector"]}, workload.labels):
            opened = {k: v for container in workload.containers for k, v in container.ports.items()}
            return _name(workload), int(opened.get(str(target), target))
    return host, port


def _name(workload: Workload) -> str:
    return workload.labels.get(NAME, workload.name)


def _pods(manifests: Manifests) -> dict[str, dict[str, str]]:
    pods = {_name(workload): workload.labels for workload in manifests.workloads}
    if any(manifests.of("Cluster")):
        pods[DATABASE] = DATABASE_LABELS
    return pods


def _allowed(manifests: Manifests, pods: dict[str, dict[str, str]], direction: str) -> set[Edge]:
    far = "to" if direction == "egress" else "from"
    edges = set()
    for policy in manifests.of("NetworkPolicy"):
        if direction.capitalize() not in policy["spec"]["policyTypes"]:
            continue  # what such a policy says of it counts for nothing
        near = [name for name, labels in pods.items() if selects(policy["spec"]["podSelector"], labels)]
        for rule in policy["spec"].get(direction, []):
            others = {other for peer in rule.get(far, [{}]) for other in _peers(peer, pods)}
            # A rule without ports allows them all: 0 is nobody's.
            for port in rule.get("ports", [{"port": 0}]):
                for here in near:
                    for there in others:
                        pair = (here, there) if direction == "egress" else (there, here)
                        edges.add(Edge(*pair, _port(port)))
    return edges


def _port(said: Object) -> int | str:
    port, protocol = said["port"], said.get("protocol", "TCP")
    if "endPort" in said:
        port = f"{port}-{said['endPort']}"
    return port if protocol == "TCP" else f"{port}/{protocol}"


def _peers(peer: Object, pods: dict[str, dict[str, str]]) -> Iterator[str]:
    if "ipBlock" in peer:
        yield INTERNET
    elif "namespaceSelector" in peer:
        labels = peer["namespaceSelector"].get("matchLabels", {})
        yield f"namespace {labels.get('kubernetes.io/metadata.name', 'of any name')}"
    elif "podSelector" in peer:
        yield from (name for name, labels in pods.items() if selects(peer["podSelector"], labels))
    else:
        yield "anybody"
