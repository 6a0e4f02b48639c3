"""A link's condition changes as things happen to it, and each change is said once."""

from datetime import UTC, datetime, timedelta

import pytest

from services.ingest.condition import (
    SILENT,
    Anew,
    Condition,
    Connected,
    Ended,
    Happening,
    Paused,
    Resumed,
    Right,
    TurnedAway,
    Wrong,
    evolve,
)

T0 = datetime(2026, 11, 21, 18, tzinfo=UTC)
AWAY = Ended("broker.unreachable", "connection refused")


def after(*happenings: Happening) -> tuple[Condition, list[str]]:
    """A happening a second, and the kinds of all that was said."""
    held, kinds = Condition(T0), []
    for number, happening in enumerate(happenings, 1):
        held, said = evolve(held, happening, T0 + timedelta(seconds=number))
        kinds += [entry.kind for entry in said]
    return held, kinds


def test_a_new_link_connects_and_is_up() -> None:
    held, said = after(Connected())
    assert (held.state, held.code, held.since, said) == ("up", None, T0 + timedelta(seconds=1), ["link.up"])


def test_a_broker_that_is_away_for_a_day_is_one_entry() -> None:
    held, said = after(Connected(), *[AWAY] * 50)
    assert said == ["link.up", "link.down"]
    assert (held.state, held.code) == ("connecting", "broker.unreachable")
    assert held.since == T0 + timedelta(seconds=2)


def test_an_outage_shows_its_last_reason_and_since_stays_with_the_state() -> None:
    held, said = after(AWAY, Ended("broker.timeout", "no answer to CONNECT"))
    assert (held.code, said) == ("broker.timeout", ["link.down"])
    assert held.since == T0


def test_after_an_edit_the_reason_is_said_again() -> None:
    _, said = after(AWAY, Anew(), AWAY)
    assert said == ["link.down", "link.down"]


def test_a_refusal_is_told_apart_from_an_outage() -> None:
    held, said = after(TurnedAway("broker.refused", "not authorised"), TurnedAway("broker.refused", "again"))
    assert (held.state, held.code, held.detail, said) == (
        "refused",
        "broker.refused",
        "again",
        ["link.refused"],
    )


def test_a_paused_link_is_paused_until_it_is_resumed() -> None:
    held, said = after(Connected(), Anew(), Paused(), Paused())
    assert (held.state, said) == ("paused", ["link.up", "link.paused"])
    held, said = after(Paused(), Resumed(), Connected())
    assert (held.state, said) == ("up", ["link.paused", "link.resumed", "link.up"])


def test_an_edit_is_no_outage() -> None:
    _, said = after(Connected(), Anew(), Connected())
    assert said == ["link.up", "link.up"]


def test_a_silent_link_is_degraded_until_messages_flow() -> None:
    held, said = after(Connected(), Wrong(SILENT, "no message for 60 s"))
    assert (held.state, held.code, said) == ("degraded", SILENT, ["link.up", "link.silent"])
    held, said = after(Connected(), Wrong(SILENT, "a"), Wrong(SILENT, "b"), Right(SILENT), Right(SILENT))
    assert (held.state, held.code, said) == ("up", None, ["link.up", "link.silent", "link.flowing"])


@pytest.mark.parametrize(
    ("code", "words"),
    [(SILENT, "messages come again"), ("subscription.refused", "no longer: 1 of 2 filters refused")],
)
def test_what_is_right_again_does_not_read_as_if_it_were_wrong(code: str, words: str) -> None:
    held, _ = evolve(Condition(T0), Connected(), T0)
    held, _ = evolve(held, Wrong(code, "1 of 2 filters refused"), T0)
    _, [said] = evolve(held, Right(code), T0)
    assert (said.status, said.detail, said.code) == ("ok", words, code)


def test_of_two_things_that_are_wrong_the_first_is_shown_and_both_are_said() -> None:
    first, second = Wrong("subscription.refused", "1 of 2"), Wrong(SILENT, "60 s")
    held, said = after(Connected(), first, second)
    assert (held.code, said) == ("subscription.refused", ["link.up", "link.degraded", "link.silent"])
    held, said = after(Connected(), first, second, Right("subscription.refused"))
    assert (held.state, held.code, said[-1]) == ("degraded", SILENT, "link.recovered")


def test_what_was_wrong_with_a_connection_ends_with_it() -> None:
    held, said = after(Connected(), Wrong(SILENT, "60 s"), AWAY, Connected())
    assert (held.state, held.wrong) == ("up", {})
    assert said == ["link.up", "link.silent", "link.down", "link.up"]


def test_nothing_is_wrong_with_a_link_that_is_not_connected() -> None:
    held, said = after(AWAY, Wrong(SILENT, "60 s"), Right(SILENT))
    assert (held.state, said) == ("connecting", ["link.down"])
