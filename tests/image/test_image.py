"""One image for all services: what is in it, what is not, and that it runs confined as Kubernetes runs it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from deploy.k8s.rules.settings import SETTINGS
from deploy.local import environment
from deploy.local.environment import SERVICES, ServicePorts
from deploy.local.nats import NatsServer
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import DatabaseUrls
from deploy.local.process import Process
from deploy.local.secrets import Secrets
from deploy.local.stack import says_ready
from tests.image.conftest import VERSION, Image

pytestmark = [pytest.mark.image, pytest.mark.slow, pytest.mark.timeout(3600)]


def test_it_is_nobodys_root_and_says_what_it_is(image: Image) -> None:
    config = image.config()
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    labels = config["Labels"]
    assert labels["org.opencontainers.image.version"] == VERSION
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert (image.root / labels["io.hybridmq.sbom"].lstrip("/")).is_file()


def test_it_holds_no_tool_that_builds(image: Image) -> None:
    found = image.run("sh", "-c", "command -v pip npm node gcc cc make git curl wget; true")
    assert found == ""
    assert "No module named pip" in image.run("python", "-m", "pip", "--version")
    assert not list(image.root.glob("app/**/tests")) + list(image.root.glob("app/**/node_modules"))


def test_its_bill_of_materials_names_what_is_in_it(image: Image) -> None:
    components = json.loads((image.root / "app/sbom.cdx.json").read_text())["components"]
    kinds = {component["purl"].partition("/")[0] for component in components}
    assert kinds == {"pkg:pypi", "pkg:npm", "pkg:deb"}
    names = {component["name"] for component in components}
    assert {"nats-py", "asyncpg", "react", "libssl3"} <= names
    assert "vite" not in names  # it builds, and is not sent


@pytest.mark.parametrize("module", SETTINGS)
def test_every_program_starts_on_a_root_file_system_that_is_read_only(image: Image, module: str) -> None:
    said = image.run("python", "-m", module, "--check-config")
    assert "Field required" in said, said  # its settings are asked for: all that it imports is there
    assert "Traceback" not in said
    assert "Read-only file system" in image.run("touch", "/app/x")


def test_the_gateway_serves_out_of_it_and_stops_in_order(
    image: Image, provisioned_nats: NatsServer, tmp_path: Path
) -> None:
    ports = ServicePorts(free_port(), {name: free_port() for name in SERVICES})
    unused = DatabaseUrls("unused", "unused", "unused")
    env = environment.services(provisioned_nats, unused, Secrets(tmp_path / "secrets"), ports)["gateway"]
    command = image.command("python", "-m", "services.gateway", env=env)
    running = Process("gateway in its image", command, log=tmp_path / "log")
    running.start()
    try:
        running.await_ready(lambda: says_ready(ports.http), timeout_s=120)
        url = f"http://{LOOPBACK}:{ports.http}"
        assert httpx.get(f"{url}/openapi.json", timeout=20).status_code == 200
        page = httpx.get(f"{url}/console", timeout=20, follow_redirects=True)
        assert page.status_code == 200
        assert "is not built here" not in page.text
    finally:
        running.stop(timeout_s=30)
