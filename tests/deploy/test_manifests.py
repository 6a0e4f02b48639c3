"""The rules that manifests are held to: what stands here breaks each of them once, and is named."""

from __future__ import annotations

import copy
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deploy.k8s import certificates, check, nats_conf, render, secrets
from deploy.k8s.manifests import Manifests, Object, decoded
from deploy.k8s.rules import cluster, network, outside, pods, references, schemas, settings
from deploy.k8s.rules.network import Edge
from deploy.local.nats import binary
from tests.runtime import test_backup

pytestmark = pytest.mark.skipif(
    not render._INSTALLED.exists(), reason="kustomize is not installed: make manifests"
)
Change = Callable[[Manifests], Any]


@cache
def production() -> Manifests:
    return render.render("production")


def pod(manifests: Manifests, name: str = "gateway", kind: str = "Deployment") -> Object:
    found = manifests.find(kind, name)
    assert found is not None
    spec: Object = found["spec"]["template"]["spec"]
    return spec


def container(manifests: Manifests, name: str = "gateway", kind: str = "Deployment") -> Object:
    first: Object = pod(manifests, name, kind)["containers"][0]
    return first


def spec(manifests: Manifests, kind: str, name: str) -> Object:
    found = manifests.find(kind, name)
    assert found is not None
    held: Object = found["spec"]
    return held


def told(manifests: Manifests, service: str) -> dict[str, str]:
    found = next(
        item for item in manifests.of("ConfigMap") if item["metadata"]["name"].startswith(f"{service}-")
    )
    data: dict[str, str] = found["data"]
    return data


def job(manifests: Manifests, program: str) -> Object:
    return next(item for item in manifests.of("Job") if item["metadata"]["name"].startswith(program))


def cron(manifests: Manifests) -> Object:
    return spec(manifests, "CronJob", "hybridmq-backup-daily")


def saving(manifests: Manifests) -> Object:
    first: Object = cron(manifests)["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    return first


def ports_of(manifests: Manifests, policy: str, direction: str = "egress") -> list[Object]:
    ports: list[Object] = spec(manifests, "NetworkPolicy", policy)[direction][0]["ports"]
    return ports


def without(manifests: Manifests, kind: str, name: str) -> str:
    manifests.objects.remove(manifests.find(kind, name) or {})
    return name


BROKEN: dict[str, tuple[check.Rule, Change, str]] = {
    "a misspelt field": (
        schemas.built_in,
        lambda m: container(m).update(livenesProbe={}),
        "livenesProbe",
    ),
    "a number where a text belongs": (
        schemas.built_in,
        lambda m: container(m)["env"].append({"name": "A", "value": 1}),
        "1 is not of type",
    ),
    "an operator's kind with a field that it does not have": (
        schemas.custom,
        lambda m: spec(m, "Cluster", "database").update(replicas=3),
        "replicas",
    ),
    "an operator's kind of another version": (
        schemas.custom,
        lambda m: next(m.of("Certificate")).update(apiVersion="cert-manager.io/v1alpha2"),
        "no schema",
    ),
    "root": (pods.restricted, lambda m: pod(m)["securityContext"].update(runAsNonRoot=False), "root"),
    "no seccomp": (pods.restricted, lambda m: pod(m)["securityContext"].pop("seccompProfile"), "seccomp"),
    "the node's network": (pods.restricted, lambda m: pod(m).update(hostNetwork=True), "hostNetwork"),
    "a token": (
        pods.restricted,
        lambda m: pod(m).update(automountServiceAccountToken=True),
        "token of the Kubernetes API",
    ),
    "a folder of the node": (
        pods.restricted,
        lambda m: pod(m)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
        "forbidden kind",
    ),
    "privileges": (
        pods.confined,
        lambda m: container(m)["securityContext"].update(allowPrivilegeEscalation=True),
        "privileges",
    ),
    "capabilities": (
        pods.confined,
        lambda m: container(m)["securityContext"]["capabilities"].update(add=["NET_RAW"]),
        "capabilities",
    ),
    "a root file system that is written": (
        pods.confined,
        lambda m: container(m)["securityContext"].pop("readOnlyRootFilesystem"),
        "root file system",
    ),
    "no limit of memory": (
        pods.bounded,
        lambda m: container(m)["resources"].pop("limits"),
        "no limit of memory",
    ),
    "a volume without a size": (
        pods.bounded,
        lambda m: pod(m)["volumes"][0].update(emptyDir={}),
        "no size limit",
    ),
    "a probe at a path that is not there": (
        pods.probed,
        lambda m: container(m)["readinessProbe"]["httpGet"].update(path="/ready"),
        "asks /ready, not /readyz",
    ),
    "ended for what is missing elsewhere": (
        pods.probed,
        lambda m: container(m, "ingest")["livenessProbe"]["httpGet"].update(path="/readyz"),
        "livenessProbe asks /readyz",
    ),
    "no readiness": (pods.probed, lambda m: container(m).pop("readinessProbe"), "no readinessProbe"),
    "a probe at a port that is closed": (
        pods.probed,
        lambda m: container(m)["livenessProbe"]["httpGet"].update(port=9),
        "port 9",
    ),
    "the latest image": (
        pods.tagged,
        lambda m: container(m).update(image="a.b/c:latest"),
        "without a version",
    ),
    "any image": (pods.tagged, lambda m: container(m).update(image="a.b:5000/c"), "without a version"),
    "a database of any version": (
        pods.tagged,
        lambda m: spec(m, "Cluster", "database").update(imageName="ghcr.io/cloudnative-pg/postgresql:latest"),
        "Cluster database",
    ),
    "a Job of the version before": (
        pods.released,
        lambda m: job(m, "migrate")["metadata"].update(name="migrate-0.0.9"),
        "not named after version 0.1.0",
    ),
    "a Job that is named after a digest": (
        pods.released,
        lambda m: [
            job(m, "migrate")["metadata"]["labels"].update({pods.VERSION: "a" * 64}),
            job(m, "migrate")["metadata"].update(name="migrate-" + "a" * 64),
            container(m, job(m, "migrate-")["metadata"]["name"], "Job").update(
                image="a/b@sha256:" + "a" * 64
            ),
        ],
        "not as a Job may be named",
    ),
    "an image of another version than its label": (
        pods.released,
        lambda m: container(m).update(image="a.b/hybridmq:0.2.0"),
        "image of version 0.2.0, labelled 0.1.0",
    ),
    "drains that wait for ever": (
        pods.spread,
        lambda m: spec(m, "PodDisruptionBudget", "nats").update(maxUnavailable=0),
        "drains wait for ever",
    ),
    "all on one node": (pods.spread, lambda m: pod(m).pop("topologySpreadConstraints"), "on one node"),
    "all drained at once": (
        pods.spread,
        lambda m: without(m, "PodDisruptionBudget", "gateway"),
        "0 PodDisruptionBudgets",
    ),
    "killed while it still answers": (
        pods.ended,
        lambda m: pod(m).update(terminationGracePeriodSeconds=30),
        "is killed after 30 s",
    ),
    "stopped while others send": (pods.ended, lambda m: container(m).pop("lifecycle"), "no preStop"),
    "a backup beside a backup": (
        pods.scheduled,
        lambda m: cron(m).update(concurrencyPolicy="Allow"),
        "may run beside itself",
    ),
    "a backup that never ends": (
        pods.scheduled,
        lambda m: cron(m)["jobTemplate"]["spec"].pop("activeDeadlineSeconds"),
        "no activeDeadlineSeconds",
    ),
    "all the Jobs of a year": (
        pods.scheduled,
        lambda m: cron(m).pop("failedJobsHistoryLimit"),
        "no failedJobsHistoryLimit",
    ),
    "a backup that may run as root": (
        pods.restricted,
        lambda m: cron(m)["jobTemplate"]["spec"]["template"]["spec"].pop("securityContext"),
        "CronJob hybridmq-backup-daily: may run as root",
    ),
    "a backup of another version": (
        pods.released,
        lambda m: saving(m).update(image="a.b/hybridmq:0.2.0"),
        "CronJob hybridmq-backup-daily, container backup: image of version 0.2.0",
    ),
    "a claim that is not there": (
        references.names,
        lambda m: without(m, "PersistentVolumeClaim", "backup"),
        "no PersistentVolumeClaim backup",
    ),
    "a backup without the devices' messages": (
        cluster.saved,
        lambda m: saving(m)["args"].append("REGISTRY"),
        "nobody saves ACTIVITY, ALERTS",
    ),
    "a backup of a stream that is not there": (
        cluster.saved,
        lambda m: saving(m)["args"].append("REGISTER"),
        "there is no stream REGISTER",
    ),
    "more backups than there is room for": (
        cluster.saved,
        lambda m: saving(m)["args"].__setitem__(-1, "4"),
        "5 times STORAGE_BYTES do not fit",
    ),
    "a backup that does not reach its server": (
        network.exact,
        lambda m: without(m, "NetworkPolicy", "backup-to-nats"),
        "backup → nats:4222 is needed, and ingress does not allow it",
    ),
    "a Service of nobody": (
        references.selectors,
        lambda m: spec(m, "Service", "gateway").update(selector={"a": "b"}),
        "selects no pod",
    ),
    "an autoscaler of nothing": (
        references.selectors,
        lambda m: spec(m, "HorizontalPodAutoscaler", "gateway")["scaleTargetRef"].update(name="gatewy"),
        "gatewy",
    ),
    "two autoscalers": (
        references.scaled,
        lambda m: m.objects.append(
            {
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "ingest"},
                "spec": {"scaleTargetRef": {"name": "ingest"}, "maxReplicas": 3},
            }
        ),
        "Deployment ingest: 2 autoscalers",
    ),
    "replicas that an apply would set back": (
        references.scaled,
        lambda m: spec(m, "Deployment", "gateway").update(replicas=3),
        "says its replicas",
    ),
    "down to none": (
        references.scaled,
        lambda m: spec(m, "ScaledObject", "telemetry").pop("minReplicaCount"),
        "from 0 to 6 replicas",
    ),
    "scaled by another installation": (
        references.housed,
        lambda m: spec(m, "ScaledObject", "telemetry")["triggers"][1]["metadata"].update(query="max(a)"),
        "asks for other installations, too",
    ),
    "an installation that moved": (
        references.housed,
        lambda m: m.find("ScaledObject", "ingest")["metadata"].update(namespace="second"),  # type: ignore[index]
        "asks for other installations, too",
    ),
    "an entry of the store under another name": (
        references.stored,
        lambda m: spec(m, "ExternalSecret", "nats-users")["dataFrom"][0]["extract"].update(
            key="hybridmq/nats"
        ),
        "takes the entry nats for",
    ),
    "a role's password that nobody makes": (
        references.names,
        lambda m: spec(m, "Cluster", "database")["managed"]["roles"][0]["passwordSecret"].update(
            name="writer"
        ),
        "Cluster database: nobody makes the Secret writer",
    ),
    "a Service's port that is closed": (
        references.ports,
        lambda m: spec(m, "Service", "gateway")["ports"][0].update(targetPort=8001),
        "port 8001",
    ),
    "a route to nowhere": (
        references.ports,
        lambda m: spec(m, "TLSRoute", "mqtts")["rules"][0]["backendRefs"][0].update(port=1883),
        "relay:1883",
    ),
    "a Secret that nobody makes": (
        references.names,
        lambda m: pod(m)["volumes"][1]["secret"].update(secretName="passwords"),
        "passwords",
    ),
    "a key that its Secret has not": (
        references.names,
        lambda m: pod(m)["volumes"][2]["secret"]["items"][0].update(key="authority"),
        "authority",
    ),
    "a ConfigMap that is not there": (
        references.names,
        lambda m: container(m)["envFrom"][0]["configMapRef"].update(name="platform"),
        "no ConfigMap platform",
    ),
    "an account that is not there": (
        references.names,
        lambda m: without(m, "ServiceAccount", "gateway"),
        "ServiceAccount gateway",
    ),
    "a setting that nobody reads": (
        settings.known,
        lambda m: told(m, "gateway").update(HTTP_PRT="8000"),
        "HTTP_PRT",
    ),
    "a setting that is needed": (
        settings.valid,
        lambda m: container(m, "telemetry")["env"].pop(1),
        "DATABASE_URL: Field required",
    ),
    "a setting of the wrong kind": (
        settings.valid,
        lambda m: told(m, "gateway").update(STREAMS_MAX="many"),
        "STREAMS_MAX",
    ),
    "a file that nobody mounts": (
        settings.valid,
        lambda m: container(m)["env"][0].update(value="/run/secrets/nats-seed"),
        "which nobody mounts",
    ),
    "an authority that nobody mounts": (
        settings.valid,
        lambda m: container(m)["volumeMounts"].pop(),
        "PLATFORM_CA",
    ),
    "another port than the settings open": (
        settings.listening,
        lambda m: told(m, "gateway").update(HTTP_PORT="8001"),
        "opens [8001]",
    ),
    "a listener on loopback": (
        settings.listening,
        lambda m: told(m, "gateway").pop("HTTP_HOST") and told(m, "gateway").update(HTTP_HOST="127.0.0.1"),
        "HTTP_HOST",
    ),
    "no policy": (
        network.denied,
        lambda m: [
            without(m, "NetworkPolicy", name)
            for name in ("default-deny", "telemetry", "from-prometheus", "to-collector")
        ],
        "telemetry: no policy",
    ),
    "more than is needed": (
        network.exact,
        lambda m: spec(m, "NetworkPolicy", "gateway")["egress"][0]["ports"].append({"port": 1883}),
        "gateway → nats:1883 is allowed by egress, and nobody needs it",
    ),
    "less than is needed": (
        network.exact,
        lambda m: spec(m, "NetworkPolicy", "nats")["ingress"][0]["from"].pop(),
        "provision → nats:4222 is needed, and ingress does not allow it",
    ),
    "anybody at any port": (
        network.exact,
        lambda m: spec(m, "NetworkPolicy", "relay").update(ingress=[{}]),
        ":0 is allowed by ingress",
    ),
    "an address that moved": (
        network.exact,
        lambda m: told(m, "ingest").update(HOSTED_MQTT_URL="mqtts://nats:9001"),
        "ingest → nats:9001 is needed",
    ),
    "NATS by UDP": (
        network.exact,
        lambda m: ports_of(m, "telemetry")[0].update(protocol="UDP"),
        "telemetry → nats:4222 is needed",
    ),
    "names by UDP alone": (
        network.exact,
        lambda m: ports_of(m, "default-deny").pop(),
        "→ namespace kube-system:53 is needed",
    ),
    "a direction that its policy does not speak of": (
        network.exact,
        lambda m: spec(m, "NetworkPolicy", "migrate").update(policyTypes=["Ingress"]),
        "migrate → database:5432 is needed",
    ),
    "one port of tenants' brokers": (
        network.exact,
        lambda m: spec(m, "NetworkPolicy", "ingest")["egress"][1]["ports"][0].pop("endPort"),
        "ingest → the internet:1-65535 is needed",
    ),
    "a private network": (
        network.public,
        lambda m: spec(m, "NetworkPolicy", "ingest")["egress"][1]["to"][0]["ipBlock"]["except"].remove(
            "10.0.0.0/8"
        ),
        "ingest may connect to 10.0.0.0/8",
    ),
    "where a cloud hands out credentials": (
        network.public,
        lambda m: spec(m, "NetworkPolicy", "ingest")["egress"][1]["to"][0]["ipBlock"].pop("except"),
        "ingest may connect to 169.254.169.254/32",
    ),
    "a path that leads nowhere": (
        outside.routed,
        lambda m: spec(m, "HTTPRoute", "gateway")["rules"][0]["matches"].pop(0),
        "/v1/telemetry leads nowhere",
    ),
    "metrics for everybody": (
        outside.routed,
        lambda m: spec(m, "HTTPRoute", "gateway")["rules"][0]["matches"][0]["path"].update(value="/"),
        "for the cluster alone",
    ),
    "a route of no listener": (
        outside.listened,
        lambda m: spec(m, "TLSRoute", "wss")["parentRefs"][0].update(sectionName="ws"),
        "no listener hybridmq/ws",
    ),
    "another name than the listener's": (
        outside.listened,
        lambda m: spec(m, "HTTPRoute", "gateway").update(hostnames=["example.com"]),
        "does not take example.com",
    ),
    "an address that nobody listens at": (
        outside.reached,
        lambda m: told(m, "gateway").update(PUBLIC_MQTTS_URL="mqtts://mqtt.example.com:8884"),
        "no route for mqtt.example.com:8884",
    ),
    "a certificate of another name": (
        outside.reached,
        lambda m: spec(m, "Certificate", "relay").update(dnsNames=["devices.example.com"]),
        "no Certificate is of mqtt.example.com",
    ),
    "a certificate without the name that services call": (
        outside.certified,
        lambda m: spec(m, "Certificate", "nats")["dnsNames"].remove("nats"),
        "NATS_URL names nats",
    ),
    "streams of one copy": (
        cluster.copied,
        lambda m: told(m, "provision").update(STREAM_REPLICAS="1"),
        "STREAM_REPLICAS is 1, of 3 servers",
    ),
    "one server": (
        cluster.copied,
        lambda m: spec(m, "StatefulSet", "nats").update(replicas=1),
        "1 servers",
    ),
    "a store that is larger than its disk": (
        cluster.sized,
        lambda m: told(m, "nats").update(MAX_FILE_STORE="200GB"),
        "does not fit into its volume",
    ),
    "streams that are larger than their store": (
        cluster.sized,
        lambda m: told(m, "provision").update(STORAGE_BYTES="185000000000"),
        "does not fit into MAX_FILE_STORE",
    ),
    "memory that is killed before it is collected": (
        cluster.sized,
        lambda m: container(m, "nats", "StatefulSet")["resources"]["limits"].update(memory="6Gi"),
        "GOMEMLIMIT",
    ),
    "a key that nobody tells the server": (
        cluster.told,
        lambda m: container(m, "nats", "StatefulSet")["envFrom"].pop(),
        "nobody tells it CALLOUT_ISSUER",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_wrong_is_named(what: str) -> None:
    rule, change, words = BROKEN[what]
    assert list(rule(production())) == []
    broken = Manifests(copy.deepcopy(production().objects))
    change(broken)
    found = list(rule(broken))
    assert any(words in problem for problem in found), found


def test_every_rule_is_tested() -> None:
    assert {rule for rule, _, _ in BROKEN.values()} == set(check.RULES)


def test_the_graph_of_connections_is_the_one_that_the_architecture_shows() -> None:
    services = {
        *("gateway", "credentials", "ingest", "telemetry", "relay", "provision", "migrate", "backup"),
        "nats",
    }
    edges = {edge for edge in network.expected(production()) if {edge.source, edge.target} <= services}
    assert edges == {
        *(Edge(name, "nats", 4222) for name in services - {"relay", "migrate", "nats"}),
        *(Edge(name, "nats", 1883) for name in ("credentials", "ingest", "provision", "relay")),
        Edge("relay", "nats", 9001),
        Edge("nats", "nats", 6222),
    }


def test_backups_run_by_the_lines_of_the_guide() -> None:
    lines = [shlex.split(line) for line in test_backup.SAVE]
    jobs = [workload for workload in production().workloads if workload.kind == "CronJob"]
    assert sorted(job.main.spec["args"][2:] for job in jobs) == sorted(lines)


def test_no_value_of_a_secret_is_in_a_manifest() -> None:
    assert not list(production().of("Secret"))


def test_secrets_are_new_at_each_call_and_fit_the_servers_configuration() -> None:
    first, second = secrets.make(), secrets.make()
    shared = {
        (name, key)
        for name, values in first.items()
        for key, value in values.items()
        if second[name][key] == value
    }
    assert shared == {(name, "username") for name in secrets.ROLES}
    for variable in first["nats-users"]:
        assert f"${variable}" in nats_conf.text()


def test_a_user_may_have_a_second_key_for_a_while() -> None:
    key = secrets.make()["nats-users"]["PLATFORM_GATEWAY"]
    both = nats_conf.text(following={"PLATFORM_GATEWAY": key})
    [first] = re.findall(r"nkey: \$PLATFORM_GATEWAY, permissions: (.*)", both)
    [second] = re.findall(rf"nkey: {key}, permissions: (.*)", both)
    assert first == second
    assert re.search(rf"auth_users: \[.*\b{key}\b", both), "else the callout would decide, as of a device"


def test_secrets_are_what_kubernetes_takes() -> None:
    content = secrets.make() | certificates.make()
    held = Manifests(secrets.manifests(content, "hybridmq"))
    assert list(schemas.built_in(held)) == []
    assert {item["metadata"]["name"]: decoded(item) for item in held.objects} == content
    types = {item["metadata"]["name"]: item["type"] for item in held.objects}
    assert types["database-owner"] == "kubernetes.io/basic-auth"
    assert types["nats-tls"] == "kubernetes.io/tls"


def test_nats_server_takes_its_configuration_with_the_variables_of_an_installation(tmp_path: Path) -> None:
    certificate = certificates.make()["nats-tls"]
    for name, value in certificate.items():
        (tmp_path / name).write_text(value)
    moved = nats_conf.text().replace(nats_conf.CERTIFICATES, str(tmp_path)).replace("/data", str(tmp_path))
    moved = moved.replace("/run/nats/", f"{tmp_path}/")
    (tmp_path / "nats.conf").write_text(moved)
    sizes = next(item["data"] for item in production().of("ConfigMap") if "SYNC_INTERVAL" in item["data"])
    variables = {"POD_NAME": "nats-0", **sizes, **secrets.make()["nats-users"]}
    command = [str(binary()), "--config", str(tmp_path / "nats.conf"), "-t"]
    checked = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    without = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert "variable reference" in without.stderr  # the check looks at them


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl to compare with")
def test_kubectl_renders_the_same() -> None:
    assert render.text("production", ["kubectl", "kustomize"]) == render.text("production")
