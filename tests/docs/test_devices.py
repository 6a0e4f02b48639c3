"""docs/how-to/name-tag-and-forget-devices.md, run as it is written: its commands give what it shows."""

import json
import os
import re
import subprocess
from typing import Any

import httpx
import pytest

from deploy.local.stack import ROOT, Stack
from tests.support.eventually import eventually_now

pytestmark = pytest.mark.system
PAGE = (ROOT / "docs/how-to/name-tag-and-forget-devices.md").read_text()
NAME, FIND, HIDE, FORGET = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
NAMED, FORGOTTEN = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))


def test_the_commands_of_the_page_give_what_it_shows(stack: Stack) -> None:
    gateway = stack.addresses.gateway
    admin = json.loads(stack.run_file.read_text())["admin_key"]
    with httpx.Client(base_url=gateway, timeout=20) as http:
        headers = {"Authorization": f"Bearer {admin}"}
        made = http.post("/v1/organizations", json={"name": "Acme"}, headers=headers).json()
        key = made["api_key"]["secret"]
        http.headers["Authorization"] = f"Bearer {key}"

        def send(device: str) -> None:
            sent = http.post("/v1/ingest", json={"topic": f"devices/{device}/telemetry", "payload": {"t": 1}})
            assert sent.status_code == 202, sent.text

        def run(command: str) -> Any:
            env = {**os.environ, "GATEWAY": gateway, "KEY": key}
            done = subprocess.run(
                ["bash", "-c", command], env=env, capture_output=True, text=True, timeout=30, check=True
            )
            return json.loads(done.stdout)

        def ids(**query: str) -> list[str]:
            return [row["id"] for row in http.get("/v1/devices", params=query).json()["items"]]

        send("boiler-07")
        send("pump")
        eventually_now(lambda: len(ids()) == 2)
        assert run(NAME) == NAMED
        eventually_now(lambda: [row["id"] for row in run(FIND)["items"]] == ["boiler-07"])
        assert run(HIDE) == {**NAMED, "hidden": True}
        eventually_now(lambda: ids() == ["pump"])
        assert (ids(hidden="true"), ids(q="erlin")) == (["boiler-07"], [])

        job = run(FORGET)
        assert job.keys() >= FORGOTTEN.keys()
        assert job["device_id"] == FORGOTTEN["device_id"]
        done = eventually_now(lambda: ended(http.get(f"/v1/erasures/{job['id']}").json()))
        assert (done["readings"], done["messages"]) == (1, 1)
        assert http.get("/v1/devices/boiler-07").status_code == 404
        assert run(FORGET)["id"] == job["id"], "asked again, it is the same job"
        assert ids(hidden="all") == ["pump"]
        assert http.delete("/v1/devices/nobody").status_code == 404
        told = http.get("/v1/activity", params={"kind": "device.*", "device_id": "boiler-07"}).json()["items"]
        assert [row["kind"] for row in told] == ["device.forgotten", "device.described", "device.described"]

        send("boiler-07")
        eventually_now(lambda: ids() == ["pump", "boiler-07"])
        again = http.get("/v1/devices/boiler-07").json()
        assert (again["name"], again["messages"], again["hidden"]) == (None, 1, False)


def ended(job: dict[str, Any]) -> Any:
    return job if job["state"] == "done" else None
