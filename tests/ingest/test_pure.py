"""Decisions of ingest that need no server: addresses, copies, waiting, which links are wanted."""

from datetime import UTC, datetime
from typing import Any

import pytest

from contracts import subjects
from contracts.broker_settings import broker_settings
from contracts.broker_topics import DEFAULT_TOPICS, TopicFilter
from contracts.envelope import Event, Recorded
from contracts.failures import Refused
from contracts.integrations import (
    DecoderChoice,
    HostedIntegrationChanged,
    IntegrationChanged,
    IntegrationCreated,
    IntegrationDeleted,
)
from contracts.organizations import OrganizationDeleted
from services.ingest import backoff
from services.ingest.links import Key, Links, evolve
from services.ingest.publish_hosted import hosted_topic
from services.ingest.window import SIZE_LEAST, Window

ORGANIZATION = "org_abcdefgh12345678"


def test_a_copy_is_known_by_packet_id_topic_and_payload() -> None:
    window = Window()
    taken = window.take(7, "t", b"p")
    assert window.copy_of(7, "t", b"p") is taken
    assert window.copy_of(7, "t", b"q") is None
    assert window.copy_of(7, "u", b"p") is None
    assert window.copy_of(8, "t", b"p") is None


def test_a_packet_id_given_again_stands_for_the_newer_message() -> None:
    window = Window()
    window.store(window.take(7, "t", b"old"), 1)
    newer = window.take(7, "t", b"new")
    assert window.copy_of(7, "t", b"old") is None
    assert window.copy_of(7, "t", b"new") is newer


def test_what_the_log_refused_is_no_copy() -> None:
    window = Window()
    window.refuse(window.take(7, "t", b"p"))
    assert window.copy_of(7, "t", b"p") is None


def test_the_window_forgets_and_says_since_when_it_remembers() -> None:
    window = Window()
    assert window.since == 1
    for number in range(1, SIZE_LEAST + 101):
        window.store(window.take(number, "t", b"p"), number * 10)
    assert window.copy_of(100, "t", b"p") is None
    assert window.copy_of(101, "t", b"p") is not None
    assert window.since == 1010


def test_the_window_grows_with_what_is_under_way() -> None:
    window = Window()
    taken = [window.take(number, "t", b"p") for number in range(1, SIZE_LEAST + 1)]
    assert window.copy_of(1, "t", b"p") is taken[0]
    for number, each in enumerate(taken, 1):
        window.store(each, number)
    for number in range(SIZE_LEAST + 1, 2 * SIZE_LEAST + 1):
        window.store(window.take(number, "t", b"p"), number)
    assert window.copy_of(1, "t", b"p") is taken[0]
    assert window.since == 1


def test_a_window_read_back_is_the_window_that_was() -> None:
    window = Window()
    for number in range(1, SIZE_LEAST + 3001):
        window.remember(number, "t", b"p", number)
    assert window.since == 1
    assert window.copy_of(1, "t", b"p") is not None


@pytest.mark.parametrize("attempt", [0, 1, 5, 50, 5000])
def test_waiting_is_jittered_and_bounded(attempt: int) -> None:
    assert backoff.delay(attempt, refused=False, random=lambda: 0.0) == 0
    assert backoff.delay(attempt, refused=False, random=lambda: 1.0) <= 60
    assert backoff.delay(0, refused=False, random=lambda: 1.0) == 0.5


@pytest.mark.parametrize("attempt", [0, 1, 5, 5000])
def test_a_refusal_is_not_insisted_on(attempt: int) -> None:
    assert 15 <= backoff.delay(attempt, refused=True, random=lambda: 0.0) <= 60
    assert 30 <= backoff.delay(attempt, refused=True, random=lambda: 1.0) <= 60


def fold(*events: tuple[str, Event]) -> Links:
    links: Links = {}
    for sequence, (subject, event) in enumerate(events, 1):
        evolve(links, Recorded(event, "id", datetime.now(UTC), "test", subject, sequence))
    return links


def integration(
    kind: type[IntegrationCreated] | type[IntegrationChanged], *filters: str, **settings: Any
) -> Event:
    return kind(
        name="n",
        settings=broker_settings(host="h", **settings),
        topics=tuple(TopicFilter(filter=each) for each in filters),
        decoder=DecoderChoice(),
    )


ONE = subjects.registry(ORGANIZATION, "integration", "int_1")
HOSTED = subjects.registry(ORGANIZATION, "integration", "hosted")
KEY = Key(ORGANIZATION, "int_1")


def test_an_integration_without_topics_gets_the_default_ones() -> None:
    assert fold((ONE, integration(IntegrationCreated)))[KEY].topics == DEFAULT_TOPICS


def test_the_hosted_integration_is_no_link() -> None:
    assert fold((HOSTED, integration(IntegrationCreated))) == {}


def test_a_change_of_the_hosted_integration_is_none_of_ours() -> None:
    changed = HostedIntegrationChanged(name="ours", decoder=DecoderChoice(name="vmark"))
    assert fold((HOSTED, changed)) == {}
    before = fold((ONE, integration(IntegrationCreated, "a")))
    assert fold((ONE, integration(IntegrationCreated, "a")), (HOSTED, changed)) == before


def test_deleted_integrations_and_organizations_have_no_links() -> None:
    organization = subjects.registry(ORGANIZATION, "organization", ORGANIZATION)
    assert fold((ONE, integration(IntegrationCreated)), (ONE, IntegrationDeleted())) == {}
    assert fold((ONE, integration(IntegrationCreated)), (organization, OrganizationDeleted())) == {}


def test_filters_of_before_are_remembered_until_they_are_wanted_again() -> None:
    links = fold(
        (ONE, integration(IntegrationCreated, "a", "b")),
        (ONE, integration(IntegrationChanged, "b", "c")),
        (ONE, integration(IntegrationChanged, "a")),
    )
    assert links[KEY].formerly == {"b", "c"}


def test_only_other_settings_need_another_connection() -> None:
    created = fold((ONE, integration(IntegrationCreated, "a")))[KEY]
    assert fold((ONE, integration(IntegrationCreated, "b")))[KEY].same_connection(created)
    assert not fold((ONE, integration(IntegrationCreated, "a", port=1)))[KEY].same_connection(created)


@pytest.mark.parametrize("topic", ["commands/d/x", f"{ORGANIZATION}/commands/d/x"])
def test_a_relative_topic_is_the_organizations_own(topic: str) -> None:
    assert hosted_topic(ORGANIZATION, topic) == f"{ORGANIZATION}/commands/d/x"


@pytest.mark.parametrize(
    "topic", ["org_other/commands/d/x", "x", ORGANIZATION, f"{ORGANIZATION}/other/d", "/devices/d/x"]
)
def test_another_organizations_topic_is_refused(topic: str) -> None:
    with pytest.raises(Refused):
        hosted_topic(ORGANIZATION, topic)
