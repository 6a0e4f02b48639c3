"""Given what happened, when this is asked for, then that happens; or it is refused with a code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.broker_settings import broker_settings
from contracts.broker_topics import DEFAULT_TOPICS, TopicFilter
from contracts.credentials import CredentialIssued, CredentialRevoked, IssueCredential, RevokeCredential
from contracts.envelope import Event
from contracts.failures import Refused
from contracts.integrations import (
    ChangeIntegration,
    CreateIntegration,
    DecoderChoice,
    DeleteIntegration,
    IntegrationChanged,
    IntegrationCreated,
    IntegrationDeleted,
)
from contracts.organizations import (
    ApiKeyIssued,
    ApiKeyRevoked,
    CreateOrganization,
    DeleteOrganization,
    IssueApiKey,
    OrganizationCreated,
    OrganizationDeleted,
    RevokeApiKey,
)
from services.credentials.decider import (
    Identity,
    NewSecret,
    decide_api_key,
    decide_credential,
    decide_organization,
)
from services.credentials.integration_decider import decide_integration
from services.credentials.states.base import StateT
from services.credentials.states.credential import Credential
from services.credentials.states.integration import Integration
from services.credentials.states.keys import ApiKey
from services.credentials.states.organization import Organization
from tests.credentials.parts import refused

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ORG = "org_abcdefgh12345678"
SECRET = NewSecret("hmac-sha256:00", "hmq_dev_abcd")
IDENTITY = Identity("abcdefgh12345678", "calm-otter-042")
WHO: dict[str, Any] = {"organization": ORG, "actor": "key:key_1"}
SETTINGS = broker_settings(host="broker.example", username="u")

ISSUED = CredentialIssued(
    name="d1",
    device_id="d1",
    client_id=IDENTITY.client_id,
    verifier=SECRET.verifier,
    hint=SECRET.hint,
    publish=(f"{ORG}/devices/d1/#",),
    subscribe=(f"{ORG}/commands/d1/#",),
)
KEY_ISSUED = ApiKeyIssued(name="ci", scopes=("read",), verifier=SECRET.verifier, hint=SECRET.hint)
CREATED = IntegrationCreated(
    name="Plant",
    settings=SETTINGS,
    topics=DEFAULT_TOPICS,
    decoder=DecoderChoice(),
    secrets={"password": "ref1"},
)


def given(empty: StateT, *events: Event) -> StateT:
    for event in events:
        empty = empty.evolve(event)
    return empty


def issue(**fields: object) -> IssueCredential:
    return IssueCredential.model_validate({**WHO, **fields})


def decide_issue(**fields: object) -> CredentialIssued:
    [event] = decide_credential(issue(**fields), Credential(), NOW, SECRET, IDENTITY)
    assert isinstance(event, CredentialIssued)
    return event


class TestOrganization:
    def test_is_created(self) -> None:
        command = CreateOrganization(**WHO, name="Acme")
        assert decide_organization(command, Organization()) == [OrganizationCreated(name="Acme")]

    def test_is_deleted(self) -> None:
        held = given(Organization(), OrganizationCreated(name="Acme"))
        assert decide_organization(DeleteOrganization(**WHO, id=ORG), held) == [OrganizationDeleted()]

    def test_deleting_it_again_is_harmless(self) -> None:
        held = given(Organization(), OrganizationCreated(name="Acme"), OrganizationDeleted())
        assert decide_organization(DeleteOrganization(**WHO, id=ORG), held) == []

    def test_one_that_never_was_cannot_be_deleted(self) -> None:
        with refused("not_found"):
            decide_organization(DeleteOrganization(**WHO, id=ORG), Organization())


class TestApiKey:
    def test_is_issued_with_its_scopes_in_one_order(self) -> None:
        command = IssueApiKey(**WHO, name="ci", scopes=("publish", "read", "read"))
        [event] = decide_api_key(command, ApiKey(), NOW, SECRET)
        assert isinstance(event, ApiKeyIssued)
        assert event.scopes == ("read", "publish")

    def test_an_expiry_in_the_past_is_refused(self) -> None:
        command = IssueApiKey(**WHO, name="ci", expires_at=NOW)
        with refused("expiry.past"):
            decide_api_key(command, ApiKey(), NOW, SECRET)

    def test_a_key_without_scopes_is_refused(self) -> None:
        with refused("request.invalid"):
            decide_api_key(IssueApiKey(**WHO, name="ci", scopes=()), ApiKey(), NOW, SECRET)

    def test_is_revoked_once(self) -> None:
        command = RevokeApiKey(**WHO, id="key_1")
        held = given(ApiKey(), KEY_ISSUED)
        assert decide_api_key(command, held, NOW) == [ApiKeyRevoked()]
        assert decide_api_key(command, given(held, ApiKeyRevoked()), NOW) == []

    def test_one_that_never_was_is_not_found(self) -> None:
        with refused("not_found"):
            decide_api_key(RevokeApiKey(**WHO, id="key_1"), ApiKey(), NOW)


class TestCredential:
    def test_of_a_device_gets_the_devices_topics(self) -> None:
        assert decide_issue(device_id="d1") == ISSUED

    def test_without_a_device_gets_the_whole_space(self) -> None:
        event = decide_issue()
        assert event.name == IDENTITY.name
        assert event.publish == (f"{ORG}/devices/#",)
        assert event.subscribe == (f"{ORG}/devices/#", f"{ORG}/commands/#")

    def test_filters_may_leave_out_the_prefix(self) -> None:
        event = decide_issue(publish=["devices/d1/#", f"{ORG}/devices/d2/x"], subscribe=["#", "devices/+/a"])
        assert event.publish == (f"{ORG}/devices/d1/#", f"{ORG}/devices/d2/x")
        assert event.subscribe == (f"{ORG}/#", f"{ORG}/devices/+/a")

    def test_may_be_allowed_nothing(self) -> None:
        event = decide_issue(publish=[], subscribe=[])
        assert (event.publish, event.subscribe) == ((), ())

    @pytest.mark.parametrize(
        ("filters", "code"),
        [
            (["org_zzzzzzzz12345678/devices/#"], "acl.outside"),
            (["other/d1/#"], "acl.outside"),
            (["#"], "acl.outside"),
            (["+/d1/x"], "acl.outside"),
            (["devices"], "acl.outside"),
            (["devices/d1"], "filter.invalid"),
            (["devices/>"], "filter.invalid"),
            (["devices/*/x"], "filter.invalid"),
            (["devices/a b/x"], "filter.invalid"),
            (["devices/d1/#/x"], "filter.invalid"),
            (["$SYS/#"], "filter.invalid"),
            ([""], "filter.invalid"),
            (["devices/d1\0/x"], "filter.invalid"),
        ],
    )
    def test_a_publish_filter_outside_is_refused(self, filters: list[str], code: str) -> None:
        with pytest.raises(Refused) as caught:
            decide_issue(publish=filters)
        assert caught.value.code == code
        assert caught.value.meaning.status == 422
        assert caught.value.field == "publish.0"

    @pytest.mark.parametrize(
        ("filters", "code"),
        [
            (["org_zzzzzzzz12345678/#"], "acl.outside"),
            (["$share/g/devices/#"], "filter.invalid"),
            (["$MQTT/sub/#"], "filter.invalid"),
            (["devices/>"], "filter.invalid"),
        ],
    )
    def test_a_subscribe_filter_outside_is_refused(self, filters: list[str], code: str) -> None:
        with pytest.raises(Refused) as caught:
            decide_issue(subscribe=["devices/#", *filters])
        assert (caught.value.code, caught.value.field) == (code, "subscribe.1")

    def test_a_device_id_that_is_no_name_is_refused(self) -> None:
        with refused("device.invalid"):
            decide_issue(device_id="-x")

    def test_an_expiry_in_the_past_is_refused(self) -> None:
        with refused("expiry.past"):
            decide_issue(expires_at=NOW - timedelta(seconds=1))

    def test_a_second_issue_of_the_same_id_is_refused(self) -> None:
        with refused("credential.exists"):
            decide_credential(issue(), given(Credential(), ISSUED), NOW, SECRET, IDENTITY)

    def test_is_revoked_once(self) -> None:
        command = RevokeCredential(**WHO, id="cred_1", reason="lost")
        held = given(Credential(), ISSUED)
        assert decide_credential(command, held, NOW) == [CredentialRevoked(reason="lost")]
        assert decide_credential(command, given(held, CredentialRevoked()), NOW) == []


class TestIntegration:
    def test_is_created_with_references_in_place_of_secrets(self) -> None:
        command = CreateIntegration.model_validate(
            {
                **WHO,
                "name": "Plant",
                "settings": {"host": "broker.example", "username": "u"},
                "secrets": {"password": "p"},
            }
        )
        assert decide_integration(command, Integration(), {"password": "ref1"}) == [CREATED]

    def test_a_change_leaves_the_rest_as_it_is(self) -> None:
        topics = (TopicFilter(filter="a/#"),)
        [event] = decide_integration(
            ChangeIntegration(**WHO, id="int_1", topics=topics), given(Integration(), CREATED)
        )
        assert event == IntegrationChanged(
            name="Plant",
            settings=SETTINGS,
            topics=topics,
            decoder=DecoderChoice(),
            secrets={"password": "ref1"},
        )

    def test_a_change_that_changes_nothing_is_no_event(self) -> None:
        command = ChangeIntegration(**WHO, id="int_1", name="Plant")
        assert decide_integration(command, given(Integration(), CREATED)) == []

    def test_a_new_secret_replaces_the_old_reference(self) -> None:
        [event] = decide_integration(
            ChangeIntegration(**WHO, id="int_1"), given(Integration(), CREATED), {"password": "ref2"}
        )
        assert isinstance(event, IntegrationChanged)
        assert event.secrets == {"password": "ref2"}

    def test_is_deleted_once_and_holds_no_secret_then(self) -> None:
        command = DeleteIntegration(**WHO, id="int_1")
        held = given(Integration(), CREATED)
        assert decide_integration(command, held) == [IntegrationDeleted()]
        after = given(held, IntegrationDeleted())
        assert decide_integration(command, after) == []
        assert after.secrets == ()

    @pytest.mark.parametrize("held", [Integration(), given(Integration(), CREATED, IntegrationDeleted())])
    def test_what_is_not_there_cannot_be_changed(self, held: Integration) -> None:
        with refused("not_found"):
            decide_integration(ChangeIntegration(**WHO, id="int_1", name="x"), held)

    def test_the_hosted_one_can_neither_be_changed_nor_deleted(self) -> None:
        for command in (
            ChangeIntegration(**WHO, id="hosted", name="x"),
            DeleteIntegration(**WHO, id="hosted"),
        ):
            with refused("integration.hosted"):
                decide_integration(command, Integration())


def test_an_event_of_another_kind_changes_nothing() -> None:
    held = given(Credential(), ISSUED)
    assert held.evolve(OrganizationDeleted()) == held
