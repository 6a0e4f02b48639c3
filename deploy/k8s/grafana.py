"""A dashboard as Grafana has it (its classic JSON model), from what it is to tell; and the PromQL that lines share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "components" / "monitoring" / "dashboards"
COLUMNS = 24  # of Grafana's grid
SIZES = {"timeseries": (8, 8), "stat": (4, 4)}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
TAG = "hybridmq"
ONE = 'cluster="$cluster", namespace="$namespace"'
"""The installation that is looked at, of several that a Prometheus may watch. Nobody says `cluster`: it is empty."""
INSTALLATION = (
    ("cluster", "label_values(hybridmq_projection_pending, cluster)"),
    ("namespace", 'label_values(hybridmq_projection_pending{cluster="$cluster"}, namespace)'),
)
_METRIC = re.compile(r"\b((?:hybridmq|http_server|process)_\w+)(\{)?")


@dataclass(frozen=True)
class Panel:
    """One graph, or one number: what it tells, in which unit of Grafana's, and (legend, PromQL) of its lines."""

    title: str
    unit: str
    says: str  # for whoever sees it for the first time, at night: what it is, and what is bad
    lines: Sequence[tuple[str, str]]
    bad_above: float | None = None
    bad_below: float | None = None
    most: float | None = None  # what there can be
    exemplars: bool = False  # points that lead to a trace
    kind: str = "timeseries"


@dataclass(frozen=True)
class Dashboard:
    uid: str
    title: str
    says: str
    panels: Sequence[Panel]
    variables: Sequence[
        tuple[str, str]
    ] = ()  # name, and the PromQL that lists its values; any of them, or all

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.uid}.json"

    def text(self) -> str:
        return json.dumps(self._json(), indent=1) + "\n"

    def expressions(self) -> list[str]:
        return [of_one(query) for panel in self.panels for _, query in panel.lines]

    def _json(self) -> dict[str, Any]:
        return {
            "uid": f"hybridmq-{self.uid}",
            "title": f"HybridMQ / {self.title}",
            "description": self.says,
            "tags": [TAG],
            "schemaVersion": 39,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "utc",
            "links": [
                {
                    "title": "HybridMQ",
                    "type": "dashboards",
                    "tags": [TAG],
                    "asDropdown": True,
                    "keepTime": True,
                    "includeVars": True,
                    "targetBlank": False,
                    "icon": "external link",
                    "tooltip": "The other dashboards, over the same time, of the same installation",
                    "url": "",
                }
            ],
            "templating": {
                "list": [
                    {
                        "name": "datasource",
                        "type": "datasource",
                        "query": "prometheus",
                        "label": "Data source",
                    },
                    *(_chosen(name, query) for name, query in INSTALLATION),
                    *(_variable(name, query) for name, query in self.variables),
                ]
            },
            "panels": [
                _panel(number, panel, at)
                for number, (panel, at) in enumerate(zip(self.panels, placed(self.panels), strict=True), 1)
            ],
        }


def placed(panels: Sequence[Panel]) -> Iterator[dict[str, int]]:
    """Where each goes: from the left, a new row where it is full or the kind changes."""
    x = y = height = 0
    kind = ""
    for panel in panels:
        width, tall = SIZES[panel.kind]
        if x + width > COLUMNS or (kind and panel.kind != kind):
            x, y = 0, y + height
        yield {"x": x, "y": y, "w": width, "h": tall}
        x, height, kind = x + width, tall, panel.kind


def of_one(query: str) -> str:
    """The same PromQL, of every metric only the series of the chosen installation."""
    return _METRIC.sub(lambda found: f"{found[1]}{{{ONE}{', ' if found[2] else '}'}", query)


def _chosen(name: str, query: str) -> dict[str, Any]:
    """One value, never all of them: what several installations do in sum tells of none."""
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": False,
        "multi": False,
        "sort": 1,
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return _chosen(name, of_one(query)) | {
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "multi": True,
    }


def _panel(number: int, panel: Panel, at: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": at,
        "fieldConfig": {"defaults": _fields(panel), "overrides": []},
        "options": _OPTIONS[panel.kind],
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": SOURCE,
                "expr": of_one(query),
                "legendFormat": legend,
                "exemplar": panel.exemplars,
            }
            for at, (legend, query) in enumerate(panel.lines)
        ],
    }


_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {
            "displayMode": "table",
            "placement": "bottom",
            "calcs": ["lastNotNull", "max"],
            "showLegend": True,
            "sortBy": "Last *",
            "sortDesc": True,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"]},
        "colorMode": "value",
        "graphMode": "area",
        "textMode": "value",
    },
}


def _fields(panel: Panel) -> dict[str, Any]:
    fields: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.most is not None:
        fields["max"] = panel.most
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.bad_above is not None:
        steps.append({"color": "red", "value": panel.bad_above})
    if panel.bad_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.bad_below}]
    fields["thresholds"] = {"mode": "absolute", "steps": steps}
    if panel.kind == "stat":
        fields["color"] = {"mode": "thresholds"}
    else:
        limit = {"mode": "line" if len(steps) > 1 else "off"}
        fields["custom"] = {"fillOpacity": 10, "thresholdsStyle": limit}
    return fields


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Per second, summed."""
    group = f" by ({by})" if by else ""
    selector = f"{{{where}}}" if where else ""
    return f"sum{group} (rate({metric}{selector}[$__rate_interval]))"


def rates(metric: str, by: str, where: str = "") -> list[tuple[str, str]]:
    """The lines of what should not happen: their sum, 0 while there is none; and each that there is."""
    legend = " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(","))
    return [
        ("all", f"{rate(metric, where=where)} or vector(0)"),
        (legend, f"{rate(metric, by, where)} > 0"),
    ]


def quantile(q: float, metric: str, by: str = "", where: str = "") -> str:
    """Of a histogram."""
    labels = f"le, {by}" if by else "le"
    selector = f"{{{where}}}" if where else ""
    return f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{selector}[$__rate_interval])))"
