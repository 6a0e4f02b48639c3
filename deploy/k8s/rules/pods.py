"""How a pod may run: confined, bounded, watched, ended in order."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deploy.k8s.manifests import Container, Manifests, Workload, selects

MARGIN_S = 10
DAY_S = 86_400
VERSION = "app.kubernetes.io/version"
NAME_OF_A_JOB = re.compile(r"(?=.{1,63}$)[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
"""Its pods carry the name as a label, so it is shorter than other names."""
VOLUMES = {
    "configMap",
    "secret",
    "emptyDir",
    "persistentVolumeClaim",
    "projected",
    "downwardAPI",
    "ephemeral",
    "csi",
}

PATHS = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
"""What `runtime.health` answers: whether the process lives, and whether it can do its work."""


def _each(manifests: Manifests) -> Iterator[tuple[Workload, Container, str]]:
    for workload in manifests.workloads:
        for container in workload.containers:
            yield workload, container, f"{workload.kind} {workload.name}, container {container.name}"


def restricted(manifests: Manifests) -> Iterator[str]:
    """The Pod Security Standard of that name, and a root file system that nobody writes to."""
    for workload in manifests.workloads:
        pod, where = workload.pod, f"{workload.kind} {workload.name}"
        held = pod.get("securityContext", {})
        if held.get("runAsNonRoot") is not True or not held.get("runAsUser"):
            yield f"{where}: may run as root"
        if held.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{where}: no seccomp profile"
        for shared in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.get(shared):
                yield f"{where}: {shared}"
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{where}: is given a token of the Kubernetes API"
        for volume in pod.get("volumes", []):
            if not VOLUMES & volume.keys():
                yield f"{where}: volume {volume['name']} is of a forbidden kind"


def confined(manifests: Manifests) -> Iterator[str]:
    """The same of each container."""
    for _, container, where in _each(manifests):
        held = container.spec.get("securityContext", {})
        if held.get("allowPrivilegeEscalation") is not False or held.get("privileged"):
            yield f"{where}: may gain privileges"
        if held.get("capabilities", {}).get("drop") != ["ALL"] or held["capabilities"].get("add"):
            yield f"{where}: keeps capabilities"
        if held.get("readOnlyRootFilesystem") is not True:
            yield f"{where}: writes to its root file system"
        if any("hostPort" in port for port in container.spec.get("ports", [])):
            yield f"{where}: takes a port of its node"


def bounded(manifests: Manifests) -> Iterator[str]:
    """Memory has a limit, memory and CPU are asked for, and what is written without a volume is bounded."""
    for _, container, where in _each(manifests):
        held = container.spec.get("resources", {})
        if "memory" not in held.get("limits", {}):
            yield f"{where}: no limit of memory"
        for what in ("cpu", "memory"):
            if what not in held.get("requests", {}):
                yield f"{where}: asks for no {what}"
    for workload in manifests.workloads:
        for volume in workload.pod.get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{workload.kind} {workload.name}: volume {volume['name']} has no size limit"


def probed(manifests: Manifests) -> Iterator[str]:
    """Whatever serves is asked whether it lives and whether it is ready, with time to start.

    Nobody is ended for what is missing elsewhere: an outage of NATS would restart all services at once.
    """
    for workload, container, where in _each(manifests):
        if not workload.lasts or container.first or not container.ports:
            continue
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe not in container.spec:
                yield f"{where}: no {probe}"
            elif (asked := container.spec[probe].get("httpGet")) and (
                asked["port"] not in container.ports and asked["port"] not in container.ports.values()
            ):
                yield f"{where}: {probe} asks port {asked['port']}, which it does not open"
            elif asked and container.module and asked["path"] != PATHS[probe]:
                yield f"{where}: {probe} asks {asked['path']}, not {PATHS[probe]}"


def tagged(manifests: Manifests) -> Iterator[str]:
    """An image is one certain image."""
    for _, container, where in _each(manifests):
        if not pinned(container.spec["image"]):
            yield f"{where}: image {container.spec['image']} without a version"
    for cluster in manifests.of("Cluster"):
        if not pinned(cluster["spec"]["imageName"]):
            yield f"Cluster {cluster['metadata']['name']}: image {cluster['spec']['imageName']} without a version"


def pinned(image: str) -> bool:
    """Whether it is the same one tomorrow."""
    _, _, tag = image.rpartition("/")[2].partition(":")
    return "@sha256:" in image or tag not in ("", "latest")


def released(manifests: Manifests) -> Iterator[str]:
    """What is ours is of one version, which the Jobs are named after: a Job cannot be changed, only followed.

    A broker's helpers keep theirs: brokers are not started anew for a release.
    """
    for workload, container, where in _each(manifests):
        if container.module is None or workload.kind == "StatefulSet":
            continue
        version = workload.object["metadata"].get("labels", {}).get(VERSION)
        tag = str(container.spec["image"]).rpartition("/")[2].partition(":")[2]
        if version is None:
            yield f"{where}: no label {VERSION}"
        elif "@sha256:" not in container.spec["image"] and tag != version:
            yield f"{where}: image of version {tag}, labelled {version}"
        elif workload.kind == "Job" and (
            not workload.name.endswith(f"-{version}") or not NAME_OF_A_JOB.fullmatch(workload.name)
        ):
            yield f"{where}: is not named after version {version}, or not as a Job may be named"


def spread(manifests: Manifests) -> Iterator[str]:
    """Of what there are several, they are apart, and no drain takes all at once."""
    for workload in manifests.workloads:
        where = f"{workload.kind} {workload.name}"
        spec = workload.object["spec"]
        scaled = any(
            item["spec"]["scaleTargetRef"]["name"] == workload.name
            for item in manifests.of("HorizontalPodAutoscaler", "ScaledObject")
        )
        if not workload.lasts or (spec.get("replicas", 1) < 2 and not scaled):
            continue
        constraints = workload.pod.get("topologySpreadConstraints", [])
        if not any(selects(constraint["labelSelector"], workload.labels) for constraint in constraints):
            yield f"{where}: its pods may all be on one node"
        budgets = [
            item
            for item in manifests.of("PodDisruptionBudget")
            if selects(item["spec"]["selector"], workload.labels)
        ]
        if len(budgets) != 1:
            yield f"{where}: {len(budgets)} PodDisruptionBudgets"
        elif budgets[0]["spec"].get("maxUnavailable") != 1:
            yield f"{where}: its PodDisruptionBudget does not let exactly one go: drains wait for ever, or take many"


def scheduled(manifests: Manifests) -> Iterator[str]:
    """What runs by the clock ends, never beside itself, and leaves a bounded number of traces behind."""
    for workload in manifests.workloads:
        if workload.kind != "CronJob":
            continue
        spec, where = workload.object["spec"], f"CronJob {workload.name}"
        if spec.get("concurrencyPolicy") != "Forbid":
            yield f"{where}: may run beside itself"
        if "timeZone" not in spec:
            yield f"{where}: by whose clock? (no timeZone)"
        for field in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
            if not 0 < spec.get(field, 0) < DAY_S:
                yield f"{where}: no {field}"
        for field in ("activeDeadlineSeconds", "backoffLimit"):
            if not 0 < workload.job.get(field, 0) < DAY_S:
                yield f"{where}: no {field}"


def ended(manifests: Manifests) -> Iterator[str]:
    """Nobody is killed who would have ended by itself: the grace is longer than all that may take time."""
    for workload, container, where in _each(manifests):
        if container.module is None or not workload.lasts or container.first:
            continue
        told = manifests.environment(container)
        waits = container.spec.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if not waits:
            yield f"{where}: is stopped while others still send to it (no preStop)"
        lasts = float(told.get("STOP_GRACE_S", 20)) + float(told.get("STREAM_LASTS_S", 0))
        grace = workload.pod.get("terminationGracePeriodSeconds", 30)
        if grace < waits + lasts + MARGIN_S:
            yield f"{where}: is killed after {grace} s, but may take {waits + lasts:g}"
