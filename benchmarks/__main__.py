"""`python -m benchmarks [name…] [options]`, or `make bench ONLY=name`: all of them where none is named."""

from __future__ import annotations

import os
import sys

from benchmarks import (
    alerts,
    bridge,
    cluster,
    console,
    credentials,
    decoders,
    exports,
    expressions,
    hosted,
    links,
    live,
    queries,
    rebuild,
    rollups,
    tls,
    webhooks,
)

BENCHMARKS = {
    "alerts": alerts.main,
    "bridge": bridge.main,
    "cluster": cluster.main,
    "console": console.main,
    "credentials": credentials.main,
    "decoders": decoders.main,
    "exports": exports.main,
    "expressions": expressions.main,
    "hosted": hosted.main,
    "links": links.main,
    "live": live.main,
    "queries": queries.main,
    "rebuild": rebuild.main,
    "rollups": rollups.main,
    "tls": tls.main,
    "webhooks": webhooks.main,
}


def main(arguments: list[str]) -> int:
    names = os.environ.get("ONLY", "").replace(",", " ").split()
    while arguments and not arguments[0].startswith("-"):
        names.append(arguments.pop(0))
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}: there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    codes = []
    for name in names or BENCHMARKS:
        print(f"== {name}", flush=True)
        codes.append(BENCHMARKS[name](arguments))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
