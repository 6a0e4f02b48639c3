"""One measured run, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Measured:
    """`seconds` run from the first publish to the last row in PostgreSQL."""

    name: str
    messages: int
    points: int
    seconds: float
    cpu_seconds: dict[str, float]
    faults: dict[str, int] = field(default_factory=dict)  # lost, invented, duplicates…: all 0 in a good run

    @property
    def messages_per_second(self) -> float:
        return self.messages / self.seconds if self.seconds else 0.0

    @property
    def points_per_second(self) -> float:
        return self.points / self.seconds if self.seconds else 0.0

    @property
    def cpu_us_per_message(self) -> dict[str, float]:
        return {name: seconds / max(1, self.messages) * 1e6 for name, seconds in self.cpu_seconds.items()}


def table(runs: Sequence[Measured]) -> str:
    """The runs beside each other, a line each, then their CPU by process."""
    lines = [f"{'':<26}{'messages':>10}{'seconds':>9}{'msg/s':>9}{'points/s':>10}  faults"]
    for run in runs:
        faults = ", ".join(f"{name} {count}" for name, count in run.faults.items()) or "not checked"
        lines.append(
            f"{run.name:<26}{run.messages:>10,}{run.seconds:>9.1f}{run.messages_per_second:>9,.0f}"
            f"{run.points_per_second:>10,.0f}  {faults}"
        )
    lines += ["", "CPU µs per message"]
    for run in runs:
        costs = run.cpu_us_per_message
        parts = "  ".join(f"{name} {cost:.1f}" for name, cost in costs.items())
        lines.append(f"{run.name:<26}{parts}  = {sum(costs.values()):.1f}")
    return "\n".join(lines)
