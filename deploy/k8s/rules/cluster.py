"""The event log's servers: as many as their configuration names, copies for each, sizes that fit into each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contracts.streams import STREAMS
from deploy.k8s.manifests import Container, Manifests, Workload
from deploy.k8s.nats_conf import SERVERS
from deploy.k8s.rules.references import made
from runtime.backup import options

UNITS: dict[str, int] = {
    "": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}i": 1024**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)},
}
"""As nats-server (`45GB`), Go (`3GiB`) and Kubernetes (`50Gi`) write sizes."""
STORE_MAX = 0.9
"""Of its volume, and of the store what streams may take: the rest is for what the server keeps beside them."""
MEMORY_MAX = 0.8
"""Of its limit, what Go may hold before it collects."""
_STREAMS = {stream.name for stream in STREAMS}
VARIABLE = re.compile(r"(?<![\w.\"])\$([A-Z][A-Z0-9_]+)\b")


def size(text: str) -> int:
    """Bytes. Raises ValueError for what is no size."""
    found = re.fullmatch(r"(\d+)([KMGT]?i?B?)", text)
    if found is None or found[2] not in UNITS:
        raise ValueError(f"{text} is no size")
    return int(found[1]) * UNITS[found[2]]


def copied(manifests: Manifests) -> Iterator[str]:
    """Every stream has a copy on each server, and there are as many servers as each is told of."""
    servers = manifests.find("StatefulSet", "nats")
    if servers is None:
        return
    running = servers["spec"].get("replicas", 1)
    if running != SERVERS:
        yield f"StatefulSet nats: {running} servers, but nats.conf has routes to {SERVERS}"
    for workload, container in _each(manifests):
        if container.module == "runtime.provision":
            copies = manifests.environment(container).get("STREAM_REPLICAS", "1")
            if copies != str(SERVERS):
                yield f"{workload.kind} {workload.name}: STREAM_REPLICAS is {copies}, of {SERVERS} servers"


def sized(manifests: Manifests) -> Iterator[str]:
    """Streams fit into the store, the store into its volume, Go's memory into the container's."""
    servers = manifests.find("StatefulSet", "nats")
    if servers is None:
        return
    workload = Workload(servers)
    container = workload.main
    told = manifests.environment(container)
    volume = size(servers["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"])
    store = size(told["MAX_FILE_STORE"])
    if store > STORE_MAX * volume:
        yield f"StatefulSet nats: MAX_FILE_STORE {told['MAX_FILE_STORE']} does not fit into its volume"
    limit = size(container.spec["resources"].get("limits", {}).get("memory", "0"))
    if size(told.get("GOMEMLIMIT", "0")) > MEMORY_MAX * limit:
        yield f"StatefulSet nats: GOMEMLIMIT {told['GOMEMLIMIT']} leaves too little of its limit of memory"
    for each, program in _each(manifests):
        if program.module == "runtime.provision":
            streams = manifests.environment(program).get("STORAGE_BYTES", "0")
            if not 0 < size(streams) <= STORE_MAX * store:
                yield f"{each.kind} {each.name}: STORAGE_BYTES {streams} does not fit into MAX_FILE_STORE"


def saved(manifests: Manifests) -> Iterator[str]:
    """Backups have every stream, and room for as many as are kept and one that is written."""
    runs = [
        (workload, container.spec["args"])
        for workload, container in _each(manifests)
        if container.module == "runtime.backup" and workload.kind == "CronJob"
    ]
    for workload, args in runs:
        named, keep = saves(args)
        for name in sorted(named - _STREAMS):
            yield f"CronJob {workload.name}: there is no stream {name}"
        claim = manifests.find("PersistentVolumeClaim", _claim(workload)) or {}
        room = size(claim.get("spec", {}).get("resources", {}).get("requests", {}).get("storage", "0"))
        for _, program in _each(manifests):
            streams = size(manifests.environment(program).get("STORAGE_BYTES", "0"))
            if named == _STREAMS and (keep + 1) * streams > STORE_MAX * room:
                yield f"CronJob {workload.name}: {keep + 1} times STORAGE_BYTES do not fit into the claim"
    missing = _STREAMS - {name for _, args in runs for name in saves(args)[0]}
    if runs and missing:
        yield f"CronJobs: nobody saves {', '.join(sorted(missing))}"


def saves(args: list[str]) -> tuple[set[str], int]:
    """Of a command line of `runtime.backup`: which streams, and how many moments it keeps."""
    asked = options(args[2:])
    return set(asked.streams) or _STREAMS, asked.keep or 1


def _claim(workload: Workload) -> str:
    claims = (volume.get("persistentVolumeClaim") for volume in workload.pod["volumes"])
    return next((str(claim["claimName"]) for claim in claims if claim), "")


def told(manifests: Manifests) -> Iterator[str]:
    """Every variable that nats.conf asks for is one that the server is given: it would not start."""
    servers = manifests.find("StatefulSet", "nats")
    if servers is None:
        return
    container = Workload(servers).main
    given, held = set(manifests.environment(container)), made(manifests)
    for source in container.spec.get("envFrom", []):
        if "secretRef" in source:
            given |= held.get(source["secretRef"]["name"], set())
    for item in manifests.of("ConfigMap"):
        text = item.get("data", {}).get("nats.conf", "")
        for variable in sorted({found[1] for found in VARIABLE.finditer(text)} - given):
            yield f"StatefulSet nats: nobody tells it {variable}, which nats.conf asks for"


def _each(manifests: Manifests) -> Iterator[tuple[Workload, Container]]:
    for workload in manifests.workloads:
        for container in workload.containers:
            yield workload, container
