"""Forbidden publishes and subscriptions: read off the server's log, shown to the tenant, and to nobody else."""

import asyncio
from pathlib import Path

import pytest

from contracts.violations import Violation
from services.credentials.log_file import follow
from services.credentials.violations import parse

HEAD = '[2089] 2026/11/21 20:50:32.927558 [ERR] 127.0.0.1:37933 - mid:74 - "kdh44bl9ygfonpuz-2" - '


def test_a_forbidden_publish_names_client_and_topic() -> None:
    line = HEAD + 'Publish Violation - Subject "org_a.devices.dev//1.telemetry"'
    topic = "org_a/devices/dev.1/telemetry"
    assert parse(line) == Violation(
        reason="topic.forbidden", client_id="kdh44bl9ygfonpuz-2", address="127.0.0.1", topic=topic
    )


@pytest.mark.parametrize(
    ("subject", "filter"), [(">", "#"), ("org_a.devices.>", "org_a/devices/#"), ("*.x", "+/x")]
)
def test_a_forbidden_subscription_names_the_filter(subject: str, filter: str) -> None:
    found = parse(HEAD + f'Subscription Violation - Subject "{subject}", SID {subject}')
    assert found is not None
    assert (found.reason, found.topic) == ("filter.forbidden", filter)


@pytest.mark.parametrize(
    "line",
    [
        "",
        HEAD + "character not supported for MQTT topics",
        # a service of the platform's, by NATS and not by MQTT
        '[1] 2026/11/21 20:50:32.9 [ERR] 127.0.0.1:1 - cid:57 - "telemetry" - Publish Violation - Subject "x"',
        # what a device wrote into a topic is quoted, and does not become a line of its own
        HEAD + 'Publish Violation - Subject "a" - mid:1 - "other" - Publish Violation - Subject "b"',
    ],
)
def test_every_other_line_says_nothing(line: str) -> None:
    assert parse(line) is None


def test_a_quoted_topic_is_read_as_it_was() -> None:
    found = parse(HEAD + r'Publish Violation - Subject "org_a.devices.\"q\".\x01\\"')
    assert found is not None
    assert found.topic == 'org_a/devices/"q"/\x01\\'


async def test_a_file_is_followed_from_its_end_through_cutting_and_replacing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")
    lines = follow(path)
    first = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)  # it stands at the end now, or soon: what follows is written until it is seen
    written = 0
    while not first.done():
        written += 1
        with path.open("a") as file:
            file.write(f"new {written}\n")
        await asyncio.wait([first], timeout=0.1)
    assert first.result()[0].startswith("new")

    async def until(wanted: str) -> None:
        async with asyncio.timeout(5):
            async for look in lines:
                if wanted in look:
                    return

    with path.open("a") as file:
        file.write("mark\n")
    await until("mark")
    path.write_text("cut\n")
    await until("cut")
    path.rename(tmp_path / "log.1")  # as logs are rotated
    path.write_text("another file\n")
    await until("another file")
