"""Dashboards as files: laid out, explained, of one mind with the alerts."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest

from deploy.k8s import dashboards
from deploy.k8s.grafana import COLUMNS, Dashboard, Panel
from deploy.local.stack import ROOT
from tests.deploy.test_alerts import RUNBOOKS, alerts

UNITS = {"bytes", "Bps", "cps", "percentunit", "reqps", "s", "short"}
"""Of Grafana's, those in use: another one is looked up in its list of units first."""
PANELS = [
    pytest.param(panel, id=f"{dashboard.uid}-{panel.title}")
    for dashboard in dashboards.ALL
    for panel in dashboard.panels
]
each_panel = pytest.mark.parametrize("panel", PANELS)
each_dashboard = pytest.mark.parametrize("dashboard", dashboards.ALL, ids=lambda one: one.uid)


@each_dashboard
def test_no_panel_lies_over_another_or_leaves_the_grid(dashboard: Dashboard) -> None:
    places = [panel["gridPos"] for panel in json.loads(dashboard.text())["panels"]]
    assert all(place["x"] + place["w"] <= COLUMNS for place in places)
    for one, other in combinations(places, 2):
        assert not (_overlap(one, other, "x", "w") and _overlap(one, other, "y", "h")), (one, other)


def _overlap(one: dict[str, int], other: dict[str, int], at: str, size: str) -> bool:
    return one[at] < other[at] + other[size] and other[at] < one[at] + one[size]


@each_dashboard
def test_titles_are_unique_and_the_file_is_what_the_tables_say(dashboard: Dashboard) -> None:
    titles = [panel.title for panel in dashboard.panels]
    assert len(titles) == len(set(titles))
    assert dashboard.path.read_text() == dashboard.text(), "make manifests"


@each_panel
def test_a_panel_has_a_unit_and_says_what_it_is(panel: Panel) -> None:
    assert panel.unit in UNITS
    assert re.fullmatch(r".+[.]", panel.says)
    for name in re.findall(r"alert ([A-Z]\w+)", panel.says):
        assert name in alerts()


@each_panel
def test_what_is_red_on_a_dashboard_is_what_somebody_is_woken_for(panel: Panel) -> None:
    limit = panel.bad_above if panel.bad_above is not None else panel.bad_below
    named = re.search(r"(?:Red|alert|for ten minutes).*?alert ([A-Z]\w+)", panel.says)
    if limit is None or named is None:
        return
    expression = alerts()[named[1]]["expr"].replace("14 * 86400", "1209600")
    numbers = {float(number) for number in re.findall(r"[<>] (?:max\(\S+\) )?([0-9.]+)", expression)}
    assert limit in numbers or limit - 1 in numbers, (
        "Grafana's limits begin at their value, a rule's above it"
    )


def test_runbooks_name_graphs_that_there_are() -> None:
    known = {one.title for one in dashboards.ALL} | {
        panel.title for one in dashboards.ALL for panel in one.panels
    }
    for path in (*RUNBOOKS.glob("*.md"), ROOT / "docs/guides/upgrades.md"):
        named = re.findall(r"(?<![*])[*]([A-Z][^*]+)[*](?![*])", path.read_text())
        assert {name.removesuffix(".") for name in named} - known - {"The internal authority"} == set(), path


@each_dashboard
def test_every_series_is_of_the_installation_that_is_chosen(dashboard: Dashboard) -> None:
    held = json.loads(dashboard.text())
    asked = [target["expr"] for panel in held["panels"] for target in panel["targets"]]
    cluster, namespace, *others = held["templating"]["list"][1:]
    assert [cluster["name"], namespace["name"]] == ["cluster", "namespace"]
    assert [cluster["includeAll"], namespace["includeAll"]] == [False, False]
    for query in [*asked, *(each["query"]["query"] for each in others)]:
        assert (
            re.findall(
                r"\b(?:hybridmq|http_server|process)_\w+(?!\w)(?!\{cluster=\"\$cluster\", namespace=\"\$namespace\")",
                query,
            )
            == []
        )


def test_each_dashboard_leads_to_the_others() -> None:
    for dashboard in dashboards.ALL:
        held: dict[str, Any] = json.loads(dashboard.text())
        assert [link["tags"] for link in held["links"]] == [held["tags"]]
