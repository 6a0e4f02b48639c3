"""What the world sees: names that devices and people are told lead, by listener, route and certificate, to us."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from deploy.k8s.manifests import Manifests, Object, Workload
from deploy.k8s.rules.network import PAIRS, PORTS, PUBLIC
from services.gateway.access import PUBLIC as WITHOUT_KEY
from services.gateway.access import RIGHTS

INSIDE = {"/metrics", "/readyz"}
"""For the cluster alone."""
CARRIES = {"HTTPRoute": "HTTPS", "TLSRoute": "TLS"}
ENCRYPTED = {"tls", "mqtts", "wss", "https"}


def routed(manifests: Manifests) -> Iterator[str]:
    """Every path of the gateway's is led to it, but those for the cluster; none that it does not have."""
    paths = {_begin(path) for _, path in (*RIGHTS, *WITHOUT_KEY)} - INSIDE
    for route in manifests.of("HTTPRoute"):
        where = f"HTTPRoute {route['metadata']['name']}"
        led = {
            (match["path"]["type"], match["path"]["value"])
            for rule in route["spec"]["rules"]
            for match in rule["matches"]
        }
        for path in sorted(paths):
            if not any(_leads(kind, value, path) for kind, value in led):
                yield f"{where}: {path} leads nowhere"
        for kind, value in sorted(led):
            if any(_leads(kind, value, path) for path in INSIDE):
                yield f"{where}: {value} shows what is for the cluster alone"
            if not any(_leads(kind, value, path) for path in paths):
                yield f"{where}: the gateway has no {value}"


def listened(manifests: Manifests) -> Iterator[str]:
    """A route belongs to a listener that there is, of its kind and its host names."""
    for route in manifests.of(*CARRIES):
        where = f"{route['kind']} {route['metadata']['name']}"
        for parent in route["spec"]["parentRefs"]:
            listener = _listener(manifests, parent["name"], parent.get("sectionName"))
            if listener is None:
                yield f"{where}: no listener {parent['name']}/{parent.get('sectionName')}"
                continue
            if listener["protocol"] != CARRIES[route["kind"]]:
                yield f"{where}: listener {listener['name']} is of {listener['protocol']}"
            for host in route["spec"]["hostnames"]:
                if not _named(host, [listener["hostname"]]):
                    yield f"{where}: listener {listener['name']} does not take {host}"


def reached(manifests: Manifests) -> Iterator[str]:
    """Each address that devices are told has a listener, a route through it, and a certificate of that name."""
    if not any(manifests.of("Gateway")):
        return
    certified = [name for item in manifests.of("Certificate") for name in item["spec"].get("dnsNames", [])]
    for config in manifests.of("ConfigMap"):
        for setting, value in config.get("data", {}).items():
            if not setting.startswith(PUBLIC):
                continue
            url = urlsplit(value)
            host, port = url.hostname or "", url.port or PORTS[url.scheme]
            if not any(_leads_to(manifests, route, host, port) for route in manifests.of("TLSRoute")):
                yield f"{setting}: no listener and no route for {host}:{port}"
            if url.scheme in ENCRYPTED and not _named(host, certified):
                yield f"{setting}: no Certificate is of {host}"


def certified(manifests: Manifests) -> Iterator[str]:
    """Whoever is spoken to by TLS inside shows a certificate of the name that it is called by."""
    names = {
        item["spec"]["secretName"]: item["spec"].get("dnsNames", []) for item in manifests.of("Certificate")
    }
    if not names:
        return  # made by hand (deploy/k8s/certificates.py)
    for workload in manifests.workloads:
        for container in workload.containers:
            for setting, host in _hosts(manifests.environment(container)):
                for held in _certificates_of(manifests, host):
                    if held in names and not _named(host, names[held]):
                        yield f"{workload.name}: {setting} names {host}, but {held} is of {names[held]}"


def _hosts(told: dict[str, str]) -> Iterator[tuple[str, str]]:
    for setting, value in told.items():
        if setting in PAIRS:
            yield PAIRS[setting], told[PAIRS[setting]]
        elif setting.endswith("_URL") and not setting.startswith(PUBLIC):
            for address in value.split(","):
                url = urlsplit(address)
                if url.scheme in ENCRYPTED and url.hostname:
                    yield setting, url.hostname


def _certificates_of(manifests: Manifests, host: str) -> Iterator[str]:
    """Secrets with a whole certificate that the pods behind a Service mount."""
    service = manifests.find("Service", host)
    for workload in manifests.workloads:
        if service is not None and _behind(service, workload):
            for volume in workload.pod.get("volumes", []):
                if "secret" in volume and "items" not in volume["secret"]:
                    yield volume["secret"]["secretName"]


def _behind(service: Object, workload: Workload) -> bool:
    return bool(service["spec"]["selector"].items() <= workload.labels.items())


def _listener(manifests: Manifests, gateway: str, section: str | None) -> Object | None:
    held = manifests.find("Gateway", gateway) or {"spec": {"listeners": []}}
    return next((each for each in held["spec"]["listeners"] if each["name"] == section), None)


def _leads_to(manifests: Manifests, route: Object, host: str, port: int) -> bool:
    listeners = [
        _listener(manifests, parent["name"], parent.get("sectionName"))
        for parent in route["spec"]["parentRefs"]
    ]
    ports = {listener["port"] for listener in listeners if listener is not None}
    return port in ports and _named(host, route["spec"]["hostnames"])


def _named(host: str, names: list[str]) -> bool:
    """A star stands for one label."""
    return any(fnmatchcase(host, name) and host.count(".") == name.count(".") for name in names)


def _begin(path: str) -> str:
    return path.partition("{")[0].rstrip("/") or "/"


def _leads(kind: str, value: str, path: str) -> bool:
    return path == value or (kind == "PathPrefix" and path.startswith(value.rstrip("/") + "/"))
