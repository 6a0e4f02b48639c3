"""Webhooks without any server: what is no address, which headers and kinds there are, how secrets follow each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.webhooks import (
    CreateWebhook,
    PauseWebhook,
    ResumeWebhook,
    RotateWebhookSecret,
    WebhookCreated,
    WebhookPaused,
    WebhookSecretRotated,
    WebhookSettings,
    wants,
)
from services.credentials.states.webhook import Webhook
from services.credentials.webhook_decider import decide_rotation, decide_steering, held_secrets

NOW = datetime(2026, 11, 22, tzinfo=UTC)
URL = "https://hooks.example.com/x"


def settings(name: str = "ops", url: str = URL, **more: Any) -> WebhookSettings:
    return WebhookSettings(**{"name": name, "url": url, "events": ("link.*",), **more})


def held(**more: Any) -> Webhook:
    state = Webhook().evolve(WebhookCreated(settings=settings(), secrets={"secret": "s1"}, **more))
    assert state.status == "active"
    return state


def rotation(grace_seconds: int = 60) -> RotateWebhookSecret:
    return RotateWebhookSecret(organization="o", actor="k", id="w", grace_seconds=grace_seconds)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example.com",
        "hooks.example.com/x",
        "https://",
        "https://user:hush@hooks.example.com/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:70000/",
        "https://hooks.example.com/#part",
        "https://hööks.example.com/",
        "https://hooks.example.com/\r\nx-other: 1",
        "https://[::1/",
        "https://hooks.example.com/" + "x" * 2048,
    ],
)
def test_what_is_no_address_for_a_webhook_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        settings(url=url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "x"),
        ("Webhook-Id", "x"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Proxy-Authorization", "x"),
        ("X:Y", "x"),
        ("X", "a\r\nHost: b"),
        ("X", "é"),
        ("X", ""),
    ],
)
def test_headers_that_are_not_theirs_to_set_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as error:
        CreateWebhook(organization="o", actor="k", settings=settings(), headers={name: value})  # type: ignore[dict-item]
    assert value == "" or value == "x" or value not in str(error.value.errors(include_input=False))


def test_kinds_are_meant_by_name_by_what_is_above_them_or_all_but_messages() -> None:
    assert wants(("link.down",), "link.down")
    assert not wants(("link.down",), "link.down.more")
    assert wants(("link.*",), "link.down")
    assert not wants(("link.*",), "linked.down")
    assert wants(("*",), "alert.opened")
    assert not wants(("*",), "message")
    assert wants(("message",), "message")


def test_the_old_secret_is_held_for_its_grace_and_the_one_before_it_no_longer() -> None:
    state = held().evolve(decide_rotation(rotation(), held(), NOW, "s2")[0])
    assert held_secrets(state, NOW) == {"secret": "s2", "previous": "s1"}
    assert held_secrets(state, NOW + timedelta(seconds=61)) == {"secret": "s2"}
    again = state.evolve(decide_rotation(rotation(), state, NOW, "s3")[0])
    assert held_secrets(again, NOW) == {"secret": "s3", "previous": "s2"}
    ended = again.evolve(decide_rotation(rotation(0), again, NOW, "s4")[0])
    assert held_secrets(ended, NOW) == {"secret": "s4"}


def test_pausing_twice_and_resuming_what_runs_are_nothing() -> None:
    pause = PauseWebhook(organization="o", actor="ingest", id="w", reason="gone")
    resume = ResumeWebhook(organization="o", actor="k", id="w")
    assert decide_steering(resume, held()) == []
    [event] = decide_steering(pause, held())
    paused = held().evolve(event)
    assert (paused.paused, decide_steering(pause, paused)) == ("gone", [])
    assert paused.evolve(decide_steering(resume, paused)[0]).paused is None
    assert isinstance(event, WebhookPaused)


def test_a_rotated_secret_is_an_event_without_it() -> None:
    [event] = decide_rotation(rotation(), held(), NOW, "ref")
    assert isinstance(event, WebhookSecretRotated)
    assert "whsec_" not in event.model_dump_json()
