"""A fleet's file in, a line out for each of its lines."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from contracts import credentials_bulk
from contracts.failures import Unavailable
from tests.gateway.peers import ALPHA, Peers
from tests.gateway.problem_assertions import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
CSV, NDJSON = "text/csv", "application/x-ndjson"


async def send(
    http: httpx.AsyncClient, body: str, media_type: str = NDJSON, **headers: str
) -> httpx.Response:
    headers["Content-Type"] = media_type
    return await http.post("/v1/credentials/bulk", content=body.encode(), headers=headers)


def told(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith(NDJSON)
    return [json.loads(line) for line in response.text.splitlines()]


async def test_ndjson_in_and_ndjson_out(alpha: httpx.AsyncClient, peers: Peers) -> None:
    body = '{"device_id": "d1"}\n\n{"nope": 1}\n{"name"\n{"name": "pump"}\n'
    lines = told(await send(alpha, body))
    assert [line.get("line") for line in lines] == [1, 3, 4, 5, None]
    assert lines[0]["credential"]["password"].startswith("hmq_dev_")
    assert [line["error"]["code"] for line in lines[1:3]] == ["request.invalid", "request.malformed"]
    assert lines[-1] == {"progress": {"done": 4, "total": 4, "issued": 2, "refused": 2}}
    asked = peers.last(credentials_bulk.IssueCredentials)
    assert [wish.device_id or wish.name for wish in asked.wishes] == ["d1", "pump"]


async def test_csv_in(alpha: httpx.AsyncClient, peers: Peers) -> None:
    body = "device_id,name,publish,expires_at\r\nd1,Boiler,devices/d1/# devices/d2/#,2030-01-01T00:00:00Z\r\nd2,,,\r\n"
    lines = told(await send(alpha, body, CSV))
    assert [line.get("line") for line in lines] == [2, 3, None]
    first, second = peers.last(credentials_bulk.IssueCredentials).wishes
    assert first.publish == ("devices/d1/#", "devices/d2/#")
    assert first.expires_at is not None
    assert (second.device_id, second.name, second.publish) == ("d2", None, None)


async def test_many_lines_come_with_progress_and_the_same_commands_again(
    alpha: httpx.AsyncClient, peers: Peers
) -> None:
    body = "".join(f'{{"device_id": "d{number}"}}\n' for number in range(250))
    commands = []
    for _ in range(2):
        lines = told(await send(alpha, body, **{"Idempotency-Key": "fleet-1"}))
        done = [line["progress"]["done"] for line in lines if "progress" in line]
        assert done == [100, 200, 250]
        asked = [each for each in peers.asked if isinstance(each, credentials_bulk.IssueCredentials)][-3:]
        commands.append([each.command_id for each in asked])
    assert commands[0] == commands[1]
    assert len(set(commands[0])) == 3


async def test_what_breaks_off_says_so(alpha: httpx.AsyncClient, peers: Peers) -> None:
    body = "".join(f'{{"device_id": "d{number}"}}\n' for number in range(150))

    async def answer(request: Any) -> Any:
        if request.wishes[0].device_id != "d0":
            raise Unavailable("log.unavailable", "away")
        outcome = credentials_bulk.CredentialOutcome(failure=Unavailable("log.unavailable").as_dict())
        return credentials_bulk.CredentialsIssued(outcomes=(outcome,) * len(request.wishes))

    peers.answers[credentials_bulk.ISSUE_CREDENTIALS.subject] = answer
    lines = told(await send(alpha, body))
    assert lines[-1]["error"]["code"] == "log.unavailable"
    assert lines[-1]["progress"]["done"] == 100


@pytest.mark.parametrize(
    ("body", "media_type", "code"),
    [
        ("", NDJSON, "request.invalid"),
        ("a,b\n1,2\n", CSV, "request.invalid"),
        ("{}", "application/json", "media_type.unsupported"),
        ("{}\n" * 10_001, NDJSON, "request.too_large"),
        ('device_id\n"d1', CSV, "request.malformed"),
    ],
)
async def test_what_cannot_be_taken(
    alpha: httpx.AsyncClient, peers: Peers, body: str, media_type: str, code: str
) -> None:
    assert_problem(await send(alpha, body, media_type), code)
    assert not [each for each in peers.asked if isinstance(each, credentials_bulk.IssueCredentials)]


async def test_a_failure_of_the_first_batch_is_the_answer(alpha: httpx.AsyncClient, peers: Peers) -> None:
    peers.refuse(credentials_bulk.ISSUE_CREDENTIALS, Unavailable("log.unavailable", "away"))
    assert_problem(await send(alpha, "{}\n"), "log.unavailable")


async def test_a_dry_run_says_what_would_be_and_issues_nothing(
    alpha: httpx.AsyncClient, peers: Peers
) -> None:
    peers.asked.clear()
    pair = '"username": "pump", "password": "hunter2-hunter2"'
    body = (
        f'{{"device_id": "d1"}}\n{{"nope": 1}}\n{{{pair}}}\n'
        + '{"device_id": "d2"}\n' * 100
        + f"{{{pair}}}\n"
    )
    answer = await alpha.post(
        "/v1/credentials/bulk",
        params={"dry_run": "true"},
        content=body.encode(),
        headers={"Content-Type": NDJSON},
    )
    lines = told(answer)
    assert (lines[0]["credential"]["device_id"], lines[2]["credential"]["username"]) == (
        "d1",
        f"{ALPHA}:pump",
    )
    assert "password" not in lines[2]["credential"]
    assert lines[1]["error"]["code"] == "request.invalid"
    *_, again, last = lines
    assert (again["line"], again["error"]["code"]) == (104, "name.taken")
    assert last == {"progress": {"done": 104, "total": 104, "valid": 102, "refused": 2}}
    assert not [each for each in peers.asked if isinstance(each, credentials_bulk.IssueCredentials)]


async def test_a_dry_run_is_true_or_false(alpha: httpx.AsyncClient, peers: Peers) -> None:
    answer = await alpha.post(
        "/v1/credentials/bulk", params={"dry_run": "1"}, content=b"{}", headers={"Content-Type": NDJSON}
    )
    assert_problem(answer, "request.invalid")
