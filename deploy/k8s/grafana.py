"""A dashboard as Grafana has it, from what it is to tell; and the PromQL that its lines have in common."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "components" / "monitoring" / "dashboards"
WIDTH, HEIGHT, ACROSS = 8, 7, 3
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """One graph: what it tells, in which unit of Grafana's, and (legend, PromQL) of its lines."""

    title: str
    unit: str
    lines: Sequence[tuple[str, str]]
    says: str = ""


@dataclass(frozen=True)
class Dashboard:
    uid: str
    title: str
    panels: Sequence[Panel]
    variables: Sequence[tuple[str, str]] = ()  # name, and the PromQL that lists its values

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.uid}.json"

    def text(self) -> str:
        return json.dumps(self._json(), indent=1) + "\n"

    def expressions(self) -> list[str]:
        return [query for panel in self.panels for _, query in panel.lines]

    def _json(self) -> dict[str, Any]:
        return {
            "uid": f"hybridmq-{self.uid}",
            "title": f"HybridMQ / {self.title}",
            "tags": ["hybridmq"],
            "schemaVersion": 39,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "utc",
            "templating": {
                "list": [
                    {
                        "name": "datasource",
                        "type": "datasource",
                        "query": "prometheus",
                        "label": "Data source",
                    },
                    *(_variable(name, query) for name, query in self.variables),
                ]
            },
            "panels": [_panel(number, panel) for number, panel in enumerate(self.panels)],
        }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "sort": 1,
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, ACROSS)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": {"fillOpacity": 10}},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
        },
        "targets": [
            {"refId": chr(ord("A") + at), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for at, (legend, query) in enumerate(panel.lines)
        ],
    }


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Per second, summed."""
    group = f" by ({by})" if by else ""
    selector = f"{{{where}}}" if where else ""
    return f"sum{group} (rate({metric}{selector}[$__rate_interval]))"


def quantile(q: float, metric: str, by: str = "", where: str = "") -> str:
    """Of a histogram."""
    labels = f"le, {by}" if by else "le"
    selector = f"{{{where}}}" if where else ""
    return f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{selector}[$__rate_interval])))"
