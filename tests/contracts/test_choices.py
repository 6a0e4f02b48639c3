"""Which decoder read what, when: as the registry's events say."""

from __future__ import annotations

from contracts.decoders.choice import SETTLES_NS, Choices
from contracts.integrations import DecoderChoice, HostedIntegrationChanged

ORGANIZATION, OTHER = "org_a", "org_b"
SECOND = 1_000_000_000


def test_the_hosted_brokers_decoder_holds_from_its_change_on_for_its_organization_alone() -> None:
    choices = Choices()
    choices.apply(ORGANIZATION, "hosted", changed("vmark"), 10 * SECOND)
    choices.apply(ORGANIZATION, "hosted", changed("text"), 20 * SECOND)

    def read_by(organization: str, source: str, at_s: float) -> str:
        return choices.choose(organization, source, int(at_s * SECOND)).origin.name

    assert read_by(ORGANIZATION, "hosted", 9) == "standard"
    assert read_by(ORGANIZATION, "hosted", 11) == "vmark"
    assert read_by(ORGANIZATION, "hosted", 21) == "text"
    assert read_by(ORGANIZATION, "http", 21) == "text"
    assert read_by(ORGANIZATION, "int_1", 21) == "standard"
    assert read_by(OTHER, "hosted", 21) == "standard"


def test_a_change_holds_a_moment_after_it_was_stored() -> None:
    choices = Choices()
    choices.apply(ORGANIZATION, "hosted", changed("vmark"), 10 * SECOND)
    settled = 10 * SECOND + SETTLES_NS
    assert choices.choose(ORGANIZATION, "hosted", settled - 1).origin.name == "standard"
    assert choices.choose(ORGANIZATION, "hosted", settled).origin.name == "vmark"


def changed(decoder: str) -> HostedIntegrationChanged:
    return HostedIntegrationChanged(name="Hosted broker", decoder=DecoderChoice(name=decoder))
