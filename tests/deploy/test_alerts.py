"""What somebody is woken for: read by promtool, tested by promtool, each with a runbook."""

from __future__ import annotations

import re
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


OURS = 'app_kubernetes_io_part_of="hybridmq"'
WELL: dict[str, str] = {
    "hybridmq_connections": "5x250",
    'hybridmq_projection_messages_total{projection="messages"}': "0+600x250",
    **{f'hybridmq_projection_pending{{projection="{each}"}}': "3x250" for each in ("messages", "activity")},
    **{
        f'hybridmq_health_check{{job="telemetry", check="{each}"}}': "1x250"
        for each in ("messages", "activity", "commands", "devices", "alerts", "dead letters")
    },
    'hybridmq_health_check{job="credentials", check="hosted broker"}': "1x250",
    'hybridmq_stream_source_pending{stream="MESSAGES"}': "0x250",
    'hybridmq_dead_letters_total{reason="json"}': "0x250",
    'hybridmq_connects_total{outcome="ok"}': "0+600000x250",
    f'http_server_request_duration_seconds_count{{{OURS}, http_response_status_code="200"}}': "0+900000x250",
    "hybridmq_secrets_unreadable": "0x250",
    'hybridmq_stream_size_bytes{stream="MESSAGES"}': "1x250",
    'hybridmq_stream_size_limit_bytes{stream="MESSAGES"}': "100x250",
    'hybridmq_stream_copies_wanted{stream="MESSAGES"}': "3x250",
    'hybridmq_stream_copies_current{stream="MESSAGES"}': "3x250",
    "hybridmq_database_connections": "5x250",
    "hybridmq_database_connections_limit": "10000x250",
    'hybridmq_certificate_expiry_seconds{certificate="devices"}': "9000000x250",
    **{
        f'up{{{OURS}, job="{each}"}}': "1x250"
        for each in ("gateway", "credentials", "ingest", "telemetry", "relay")
    },
    'certmanager_certificate_expiration_timestamp_seconds{name="nats"}': "9000000x250",
    f"barman_cloud_cloudnative_pg_io_last_available_backup_timestamp{{{OURS}}}": "9000000x250",
    'kube_pod_init_container_info{container="plugin-barman-cloud"}': "1x250",
    'kube_cronjob_created{cronjob="hybridmq-backup-hourly"}': "0x250",
    'kube_cronjob_status_last_successful_time{cronjob="hybridmq-backup-hourly"}': "9000000x250",
    'kube_cronjob_status_last_successful_time{cronjob="hybridmq-backup-daily"}': "9000000x250",
}
"""An installation of which nothing is to be told, through all of every case; as busy as none of the cases is."""


def labelled(series: str, labels: str) -> str:
    name, _, others = series.partition("{")
    return f"{name}{{{labels}, {others}" if others else f"{name}{{{labels}}}"


def beside_others_that_are_well(case: dict[str, Any]) -> dict[str, Any]:
    """One in another namespace, and one in another cluster the namespaces of which are called the same."""
    here = [{**each, "series": labelled(each["series"], 'cluster="a"')} for each in case["input_series"]]
    well = [
        {"series": labelled(series, labels), "values": values}
        for labels in ('cluster="a", namespace="well"', 'cluster="b", namespace="hybridmq"')
        for series, values in WELL.items()
    ]
    for asked in case["alert_rule_test"]:
        for expected in asked["exp_alerts"]:
            expected["exp_labels"]["cluster"] = "a"
    return {**case, "input_series": [*here, *well]}


@needs_promtool
def test_each_alert_fires_when_it_should_and_then_only(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
    cases = yaml.safe_load(TESTS.read_text())
    for asked in (one for case in cases["tests"] for one in case["alert_rule_test"]):
        for expected in asked["exp_alerts"]:  # only summaries have values in them
            annotations = alerts()[asked["alertname"]]["annotations"]
            expected["exp_annotations"] = {**annotations, "summary": expected.pop("says")}
    cases["tests"] = [beside_others_that_are_well(case) for case in cases["tests"]]
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({**cases, "rule_files": ["rules.yaml"]}))
    assert promtool("test", "rules", "tests.yaml", folder=tmp_path) == ""


@needs_promtool
def test_nothing_is_told_of_an_installation_that_is_well(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
    quiet = {
        "interval": "1m",
        "input_series": [],
        "alert_rule_test": [{"alertname": name, "eval_time": "4h", "exp_alerts": []} for name in alerts()],
    }
    cases = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [beside_others_that_are_well(quiet)],
    }
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(cases))
    assert promtool("test", "rules", "tests.yaml", folder=tmp_path) == ""


@needs_promtool
def test_it_is_told_that_nothing_is_watched_at_all(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
    annotations = {
        **alerts()["ServiceDown"]["annotations"],
        "summary": "Every service tells no metrics: none of its replicas runs, or Prometheus does not reach it.",
    }
    fires = {
        "exp_labels": {"app_kubernetes_io_part_of": "hybridmq", "severity": "critical"},
        "exp_annotations": annotations,
    }
    asked = {"alertname": "ServiceDown", "eval_time": "10m", "exp_alerts": [fires]}
    cases = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": [], "alert_rule_test": [asked]}],
    }
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(cases))
    assert promtool("test", "rules", "tests.yaml", folder=tmp_path) == ""


def test_what_is_counted_is_counted_for_each_installation() -> None:
    """No sum over all of them, and no other label that would be lost."""
    for name, rule in alerts().items():
        for aggregation in re.findall(
            r"\b(?:sum|max|min|count|group|avg)\b(?! by \(cluster, namespace\b)", rule["expr"]
        ):
            raise AssertionError(f"{name}: {aggregation} mixes installations")


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
