"""`python -m deploy.k8s.check`: renders every overlay and holds it to the rules; ends with 1 and says what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from deploy.k8s import dashboards, nats_conf
from deploy.k8s.manifests import Manifests
from deploy.k8s.render import OVERLAYS, render
from deploy.k8s.rules import cluster, network, outside, pods, references, schemas, settings

Rule = Callable[[Manifests], Iterator[str]]
RULES: tuple[Rule, ...] = (
    schemas.built_in,
    schemas.custom,
    pods.restricted,
    pods.confined,
    pods.bounded,
    pods.probed,
    pods.tagged,
    pods.released,
    pods.spread,
    pods.ended,
    pods.scheduled,
    references.selectors,
    references.scaled,
    references.housed,
    references.ports,
    references.names,
    references.stored,
    settings.known,
    settings.valid,
    settings.listening,
    network.denied,
    network.exact,
    network.public,
    outside.routed,
    outside.listened,
    outside.reached,
    outside.certified,
    cluster.copied,
    cluster.sized,
    cluster.saved,
    cluster.told,
)


def problems() -> list[str]:
    """All overlays', each told once."""
    with ThreadPoolExecutor() as threads:
        rendered = dict(zip(OVERLAYS, threads.map(render, OVERLAYS), strict=True))
    found = [
        f"{overlay}: {problem}"
        for overlay, manifests in rendered.items()
        for rule in RULES
        for problem in rule(manifests)
    ]
    if nats_conf.PATH.read_text() != nats_conf.text():
        found.append("components/nats/nats.conf is not what contracts/permissions.py says: make manifests")
    found += [
        f"{dashboard.path.name} is not what deploy/k8s/dashboards says: make manifests"
        for dashboard in dashboards.ALL
        if dashboard.path.read_text() != dashboard.text()
    ]
    return found


def main() -> None:
    found = problems()
    for problem in found:
        sys.stderr.write(problem + "\n")
    if found:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
