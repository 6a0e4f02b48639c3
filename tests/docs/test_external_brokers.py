"""The guide to external brokers: what it sends is what the API takes."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.broker_checks import check_unsaved
from contracts.broker_topics import check_topics, default_topics
from services.gateway.routes.integrations import NewIntegration, secrets_of
from tests.support.pems import make_pair

GUIDE = (Path(__file__).parents[2] / "docs/guides/external-brokers.md").read_text()
BODIES = re.findall(r"<<'JSON'\n(.*?)\nJSON\n", GUIDE, re.DOTALL)
SCRIPTS = re.findall(r"<<'PY' [^\n]*\n(.*?)\nPY\n", GUIDE, re.DOTALL)


def test_the_guide_has_a_call_for_every_broker() -> None:
    assert (len(BODIES), len(SCRIPTS)) == (4, 2)


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_body_of_the_guide_is_an_integration(body: str) -> None:
    new = NewIntegration.model_validate_json(body, strict=True)
    settings = new.settings.public()
    check_topics(settings, new.topics or default_topics(settings))


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_a_script_of_the_guide_makes_an_integration_of_files(script: str, tmp_path: Path) -> None:
    authority = make_pair("authority", authority=True)
    client = make_pair(issuer=authority)
    for name, text in (("ca", authority.certificate), ("client", client.certificate)):
        (tmp_path / f"{name}.pem").write_text(text)
    (tmp_path / "client.key").write_text(client.key)
    made = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    new = NewIntegration.model_validate_json(made.stdout, strict=True)
    check_unsaved(new.settings.public(), secrets_of(new.settings), datetime.now(UTC))
