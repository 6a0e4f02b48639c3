"""What somebody is woken for: read by promtool, tested by promtool, each with a runbook."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.k8s.render import FOLDER
from deploy.local.stack import ROOT

TESTS = Path(__file__).with_name("alerts.yaml")
RUNBOOKS = ROOT / "docs" / "runbooks"


def rules() -> dict[str, Any]:
    """As Prometheus has them."""
    spec: dict[str, Any] = yaml.safe_load((FOLDER / "components/monitoring/rules.yaml").read_text())["spec"]
    return spec


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in rules()["groups"] for rule in group["rules"]}


needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: tests/support/install.sh"
)


@needs_promtool
def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
    assert promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", folder=tmp_path) == ""


@needs_promtool
def test_each_alert_fires_when_it_should_and_then_only(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
    cases = yaml.safe_load(TESTS.read_text())
    for asked in (one for case in cases["tests"] for one in case["alert_rule_test"]):
        annotations = alerts()[asked["alertname"]]["annotations"]
        for expected in asked["exp_alerts"]:  # only summaries have values in them
            expected["exp_annotations"] = {**annotations, "summary": expected.pop("says")}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({**cases, "rule_files": ["rules.yaml"]}))
    assert promtool("test", "rules", "tests.yaml", folder=tmp_path) == ""


def promtool(*arguments: str, folder: Path) -> str:
    """What it complains of."""
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def test_every_alert_is_tested_both_ways() -> None:
    asked = [
        (one["alertname"], bool(one["exp_alerts"]))
        for case in yaml.safe_load(TESTS.read_text())["tests"]
        for one in case["alert_rule_test"]
    ]
    assert set(asked) == {(alert, fires) for alert in alerts() for fires in (True, False)}


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {*alerts(), "README"}
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{name}.md")
