"""compose.yaml holds together without Docker: settings are known and whole, what is mounted is written."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import compose
from deploy.k8s.rules.settings import LIBRARIES, SETTINGS
from deploy.local import postgres
from deploy.local.stack import ROOT

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
OURS = {name: service for name, service in SERVICES.items() if "hybridmq" in service["image"]}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installation") / ".compose"
    compose.write(folder)
    return folder


def told(service: dict[str, Any]) -> dict[str, str]:
    lines = [line for file in service["env_file"] for line in (ROOT / file).read_text().splitlines() if line]
    return {**dict(line.split("=", 1) for line in lines), **service["environment"]}


def host_path(written: Path, mount: str) -> tuple[Path, str]:
    source, target, *_ = mount.split(":")
    own = source.removeprefix("./.compose/")
    return (written / own if own != source else ROOT / source), target


@pytest.mark.parametrize("name", OURS)
def test_a_services_settings_are_known_and_hold(name: str, written: Path) -> None:
    service = OURS[name]
    settings = SETTINGS[service["command"][1]]
    mounts = [host_path(written, mount) for mount in service["volumes"]]
    own: dict[str, Any] = {}
    for key, value in told(service).items():
        field = key.removesuffix("_FILE").lower() if key.endswith("_FILE") else key.lower()
        assert key.startswith(LIBRARIES) or field in settings.model_fields, key
        if str(value).startswith("/run/"):
            held = next(
                path / str(value).removeprefix(f"{at}/") for path, at in mounts if str(value).startswith(at)
            )
            held = held if held.exists() else next(path for path, at in mounts if at == value)
            if key.endswith("_FILE"):
                value = held.read_text()
        own[field] = value
    settings.__pydantic_validator__.validate_python(
        {field: value for field, value in own.items() if field in settings.model_fields}
    )


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str, written: Path) -> None:
    for mount in SERVICES[name]["volumes"]:
        if mount.startswith("./"):
            assert host_path(written, mount)[0].exists(), mount
    for file in SERVICES[name].get("env_file", []):
        assert (ROOT / file).exists() or (written / file.removeprefix(".compose/")).exists(), file


def test_what_is_built_here_is_pulled_from_nowhere() -> None:
    assert {service["image"] for service in OURS.values()} == {"localhost/hybridmq:0.1.0"}
    pulled = {name: service["pull_policy"] for name, service in OURS.items()}
    assert pulled == {**dict.fromkeys(OURS, "never"), "provision": "build"}
    assert [name for name, service in OURS.items() if "build" in service] == ["provision"]


def test_the_roles_of_the_database_are_made_by_a_program() -> None:
    """What cannot be run, PostgreSQL's image reads into its own shell, options and all."""
    assert (ROOT / "deploy/k8s/components/postgres/roles.sh").stat().st_mode & 0o111


def test_postgresql_can_be_set_up_with_what_its_image_is_told(tmp_path: Path) -> None:
    """Of compose and of the overlay `dev`; a locale of C alone would be an encoding that the builtin one refuses."""
    manifest = (ROOT / "deploy/k8s/components/postgres/postgres.yaml").read_text()
    database = next(item for item in yaml.safe_load_all(manifest) if item["kind"] == "StatefulSet")
    told = {
        each["name"]: each["value"] for each in database["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    arguments = SERVICES["database-rw"]["environment"]["POSTGRES_INITDB_ARGS"]
    assert told["POSTGRES_INITDB_ARGS"] == arguments
    initdb = [
        str(postgres.binaries() / "initdb"),
        "-D",
        str(tmp_path / "data"),
        "--no-sync",
        *arguments.split(),
    ]
    done = subprocess.run(
        [*postgres._as_somebody(), *initdb],
        capture_output=True,
        text=True,
        check=False,
        env={"LANG": "en_US.utf8"},
    )
    assert done.returncode == 0, done.stderr


def test_an_installation_is_not_written_over(written: Path) -> None:
    with pytest.raises(FileExistsError):
        compose.write(written)
    assert written.stat().st_mode & 0o077 == 0, "nobody else gets in"
