"""`python -m tests.telemetry.sandbox_peak [bytes of memory allowed]`: the largest worker of hostile rules, in KiB.

In a process of its own: the kernel counts the largest child of a process, and a test's process has others.
"""

from __future__ import annotations

import asyncio
import resource
import sys

from services.telemetry.sandbox.process import Limits
from tests.telemetry.sandbox_pool import evaluated, running
from tests.telemetry.sandbox_rules import HOSTILE

CPU_S = 0.3  # six times the usual: what allocates is to reach its limit of memory


async def main() -> None:
    limits = Limits(message_cpu_s=CPU_S)
    if len(sys.argv) > 1:
        limits = limits._replace(memory_bytes=int(sys.argv[1]))
    for source in HOSTILE.values():
        async with running(limits=limits) as pool:
            await evaluated(pool, source)
    sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}\n")


asyncio.run(main())
