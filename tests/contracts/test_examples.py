"""Every version of every event that was ever written decodes, for ever: the committed examples say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import contracts
from contracts import envelope, upcasts

EXAMPLES = Path(contracts.__file__).parent / "examples"
FILES = sorted(EXAMPLES.glob("*.json"))
WRITTEN_TYPES = {*upcasts.EVENTS, *upcasts.UPCASTS}


def read(path: Path) -> dict[str, Any]:
    example: dict[str, Any] = json.loads(path.read_text())
    return example


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_decodes_to_the_latest_shape(path: Path) -> None:
    example = read(path)
    body = json.dumps(example["body"]).encode()

    recorded = upcasts.decode(example["headers"], body, subject="registry.org_x.kind.id", sequence=7)

    assert recorded is not None
    assert recorded.id == example["headers"][envelope.ID]
    assert recorded.time.isoformat() == example["headers"][envelope.TIME]
    assert recorded.actor == example["headers"][envelope.ACTOR]
    assert recorded.command_id == example["headers"].get(envelope.COMMAND)
    assert recorded.sequence == 7


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_is_named_after_its_type(path: Path) -> None:
    assert read(path)["headers"][envelope.TYPE] == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_of_the_latest_version_is_what_is_written_today(path: Path) -> None:
    example = read(path)
    model = upcasts.EVENTS.get(path.stem)
    if model is None:
        pytest.skip("an old version: nobody writes it any more")
    event = model.model_validate(example["body"])
    assert json.loads(event.model_dump_json()) == example["body"]


def test_every_type_ever_written_has_an_example() -> None:
    missing = WRITTEN_TYPES - {path.stem for path in FILES}
    assert not missing, f"add contracts/examples/<type>.json for {sorted(missing)}"


def test_every_example_is_of_a_type_that_is_known() -> None:
    assert {path.stem for path in FILES} <= WRITTEN_TYPES


def test_a_type_that_is_not_known_yet_is_left_alone() -> None:
    assert upcasts.decode({envelope.TYPE: "credential.blessed.v9"}, b"{}") is None
