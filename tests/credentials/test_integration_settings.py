"""Settings of integrations as they are saved: secrets that belong, certificates that fit, what is shown of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from contracts import subjects
from contracts.broker_base import CERTIFICATES_CHARS_MAX
from contracts.broker_settings import broker_settings
from contracts.broker_topics import DEFAULT_TOPICS, TOPICS_MAX, TopicFilter
from contracts.failures import Failure
from contracts.integrations import (
    ChangeIntegration,
    CreateIntegration,
    DecoderChoice,
    GetIntegration,
    HostedIntegrationChanged,
    IntegrationView,
    ReadSecret,
)
from contracts.organizations import List
from services.credentials import broker_facts, vault
from services.credentials.announce import announcement
from tests.credentials.parts import MakeReplica, Replica, refused, unique
from tests.support.pems import DAY, Pair, make_pair

CLIENT, OTHER = make_pair("client"), make_pair("other")
AZURE_KEY = "c2VjcmV0LW9mLTE2LWJ5dGVz"


def with_certificate(pair: Pair, **tls: Any) -> dict[str, Any]:
    tls = {"client_certificate": pair.certificate, **tls}
    return {"auth": "client_certificate", "host": "broker.example", "tls": tls}


async def create(
    replica: Replica, settings: dict[str, Any], organization: str | None = None, **secrets: str
) -> tuple[str, IntegrationView]:
    organization = organization or (await replica.organization()).id
    request = CreateIntegration(
        organization=organization,
        actor="k",
        name="Plant",
        settings=broker_settings(**settings),
        secrets={name: SecretStr(value) for name, value in secrets.items()},
    )
    return organization, await replica.integrations.create(request)


async def change(
    replica: Replica, organization: str, id: str, settings: dict[str, Any] | None = None, **fields: Any
) -> IntegrationView:
    secrets = {name: SecretStr(value) for name, value in fields.pop("secrets", {}).items()}
    request = ChangeIntegration(
        organization=organization,
        actor="k",
        id=id,
        settings=broker_settings(**settings) if settings else None,
        secrets=secrets,
        **fields,
    )
    return await replica.integrations.change(request)


async def references(replica: Replica, organization: str, id: str) -> dict[str, str]:
    events = await replica.log.read(subjects.registry(organization, "integration", id))
    held: dict[str, str] = events[-1].event.model_dump()["secrets"]
    return held


async def secret(replica: Replica, organization: str, id: str, field: str) -> str:
    reference = (await references(replica, organization, id))[field]
    asked = ReadSecret(organization=organization, integration=id, field=field, reference=reference)
    return (await replica.integrations.read_secret(asked)).value.get_secret_value()


async def test_a_client_certificate_is_shown_and_its_key_is_not(replica: Replica) -> None:
    organization, view = await create(replica, with_certificate(CLIENT), client_key=CLIENT.key)
    assert view.has_secrets == ("client_key",)
    assert view.client_certificate is not None
    assert view.client_certificate.subject == "CN=client"
    assert view.client_certificate.key == "EC P-256"
    assert "PRIVATE" not in view.model_dump_json()
    events = await replica.log.read(subjects.registry(organization, "integration", view.id))
    assert "PRIVATE" not in events[0].event.model_dump_json()
    assert await secret(replica, organization, view.id, "client_key") == CLIENT.key


@pytest.mark.parametrize(
    ("settings", "secrets", "code", "field"),
    [
        (with_certificate(CLIENT), {}, "request.invalid", "settings.tls.client_key"),
        (
            with_certificate(CLIENT),
            {"client_key": OTHER.key},
            "certificate.invalid",
            "settings.tls.client_key",
        ),
        (
            with_certificate(make_pair(begins=-3 * DAY, ends=-DAY)),
            {"client_key": CLIENT.key},
            "certificate.invalid",
            "settings.tls.client_key",
        ),
        (
            with_certificate(CLIENT),
            {"client_key": CLIENT.encrypted_key()},
            "certificate.invalid",
            "settings.tls.client_key",
        ),
        (
            with_certificate(CLIENT, client_certificate=CLIENT.key),
            {"client_key": CLIENT.key},
            "certificate.invalid",
            "settings.tls.client_certificate",
        ),
        (
            with_certificate(CLIENT, ca="rubbish"),
            {"client_key": CLIENT.key},
            "certificate.invalid",
            "settings.tls.ca",
        ),
        (
            with_certificate(CLIENT, ca=CLIENT.key),
            {"client_key": CLIENT.key},
            "certificate.invalid",
            "settings.tls.ca",
        ),
        ({"host": "h"}, {"password": "p"}, "request.invalid", "settings.password"),
        (
            {"host": "h", "username": "u"},
            {"client_key": CLIENT.key},
            "request.invalid",
            "settings.tls.client_key",
        ),
        (
            {"auth": "azure_sas", "host": "h", "device_id": "d"},
            {},
            "request.invalid",
            "settings.shared_access_key",
        ),
        (
            {"auth": "azure_sas", "host": "h", "device_id": "d"},
            {"shared_access_key": "HostName=h;DeviceId=d;SharedAccessKey=a2V5"},
            "request.invalid",
            "settings.shared_access_key",
        ),
        (
            {"auth": "azure_sas", "host": "h", "device_id": "d"},
            {"shared_access_key": "not base64!"},
            "request.invalid",
            "settings.shared_access_key",
        ),
        (
            {"auth": "azure_sas", "host": "h", "device_id": "d"},
            {"shared_access_key": "a2V5"},
            "request.invalid",
            "settings.shared_access_key",
        ),
    ],
)
async def test_what_cannot_be_used_is_not_saved(
    replica: Replica, settings: dict[str, Any], secrets: dict[str, str], code: str, field: str
) -> None:
    organization = (await replica.organization()).id
    with refused(code) as caught:
        await create(replica, settings, organization, **secrets)
    assert caught.value.field == field
    assert "BEGIN" not in caught.value.detail.replace("-----BEGIN …-----", "")
    page = await replica.queries.integrations(List(organization=organization, actor="k"))
    assert [view.id for view in page.items] == ["hosted"]
    assert not await replica.secrets.keys(organization)


async def test_an_edit_without_the_secret_keeps_it(replica: Replica) -> None:
    settings = {"host": "h", "username": "u"}
    organization, view = await create(replica, settings, password="swordfish")
    await change(replica, organization, view.id, {**settings, "port": 1884})
    assert await secret(replica, organization, view.id, "password") == "swordfish"


async def test_with_another_auth_secrets_that_no_longer_belong_are_erased(replica: Replica) -> None:
    organization, view = await create(replica, {"host": "h", "username": "u"}, password="swordfish")
    old = (await references(replica, organization, view.id))["password"]

    changed = await change(
        replica, organization, view.id, with_certificate(CLIENT), secrets={"client_key": CLIENT.key}
    )

    assert changed.has_secrets == ("client_key",)
    assert await replica.secrets.get(old) is None
    key = (await references(replica, organization, view.id))["client_key"]
    none = await change(replica, organization, view.id, {"host": "h"})
    assert none.has_secrets == ()
    assert await replica.secrets.get(key) is None


async def test_a_refused_change_erases_nothing(replica: Replica) -> None:
    organization, view = await create(replica, {"host": "h", "username": "u"}, password="swordfish")
    with refused("certificate.invalid"):
        await change(
            replica, organization, view.id, with_certificate(CLIENT), secrets={"client_key": OTHER.key}
        )
    assert await secret(replica, organization, view.id, "password") == "swordfish"
    assert len(await replica.secrets.keys(organization)) == 1


async def test_a_new_certificate_must_fit_the_key_that_is_held(replica: Replica) -> None:
    organization, view = await create(replica, with_certificate(CLIENT), client_key=CLIENT.key)
    renewed = make_pair("renewed", key=CLIENT.signer)
    changed = await change(replica, organization, view.id, with_certificate(renewed))
    assert changed.client_certificate is not None
    assert changed.client_certificate.subject == "CN=renewed"
    with refused("certificate.invalid") as caught:
        await change(replica, organization, view.id, with_certificate(OTHER))
    assert caught.value.field == "settings.tls.client_key"
    with refused("certificate.invalid"):
        await change(replica, organization, view.id, secrets={"client_key": OTHER.key})
    both = await change(
        replica, organization, view.id, with_certificate(OTHER), secrets={"client_key": OTHER.key}
    )
    assert both.client_certificate is not None
    assert both.client_certificate.subject == "CN=other"


async def test_a_password_and_a_certificate_together(replica: Replica) -> None:
    settings = {
        "protocol": "mqtts",
        "host": "h",
        "username": "u",
        "tls": {"client_certificate": CLIENT.certificate},
    }
    organization, view = await create(replica, settings, password="p", client_key=CLIENT.key)
    assert view.has_secrets == ("client_key", "password")
    plain = await change(replica, organization, view.id, {"protocol": "mqtts", "host": "h", "username": "u"})
    assert plain.has_secrets == ("password",)


async def test_what_is_risky_is_said(replica: Replica) -> None:
    soon = make_pair(ends=10 * DAY, for_servers=True)
    settings = with_certificate(soon, verify=False, ca=make_pair("leaf", issuer=OTHER).certificate)
    _, view = await create(replica, settings, client_key=soon.key)
    assert [(warning.code, warning.field) for warning in view.warnings] == [
        ("tls.unverified", "settings.tls.verify"),
        ("certificate.expiring", "settings.tls.client_certificate"),
        ("certificate.not_for_clients", "settings.tls.client_certificate"),
        ("ca.no_authority", "settings.tls.ca"),
    ]
    later = broker_facts.warnings(broker_settings(**settings), datetime.now(UTC) + timedelta(days=11))
    assert "certificate.expired" in {warning.code for warning in later}
    _, clear = await create(replica, {"host": "h", "username": "u"}, password="p")
    assert [warning.code for warning in clear.warnings] == ["password.in_clear"]
    _, sound = await create(replica, {"protocol": "mqtts", "host": "h", "username": "u"}, password="p")
    assert sound.warnings == ()


async def test_activity_says_that_nothing_is_verified(replica: Replica) -> None:
    settings = {"protocol": "mqtts", "host": "h", "tls": {"verify": False}}
    organization, view = await create(replica, settings)
    subject = subjects.registry(organization, "integration", view.id)
    [recorded] = await replica.log.read(subject)
    said = announcement(subjects.entity(subject), recorded.event)
    assert "not verified" in said.summary
    assert (said.details["verify"], said.details["auth"]) == (False, "none")
    await change(replica, organization, view.id, {"protocol": "mqtts", "host": "h"})
    verified = announcement(subjects.entity(subject), (await replica.log.read(subject))[-1].event)
    assert verified.summary == "Plant"
    assert "verify" not in verified.details


async def test_no_topics_mean_those_that_are_usual_for_the_broker(replica: Replica) -> None:
    organization, view = await create(replica, {"host": "h"})
    assert view.topics == DEFAULT_TOPICS
    own = (TopicFilter(filter="a/#"),)
    assert (await change(replica, organization, view.id, topics=own)).topics == own
    assert (await change(replica, organization, view.id, topics=())).topics == DEFAULT_TOPICS
    azure = {"auth": "azure_sas", "host": "h", "device_id": "d"}
    moved = await change(replica, organization, view.id, azure, secrets={"shared_access_key": AZURE_KEY})
    assert [topic.filter for topic in moved.topics] == ["devices/d/messages/devicebound/#"]
    with refused("filter.invalid") as caught:
        await change(replica, organization, view.id, topics=own)
    assert caught.value.field == "topics.0.filter"


async def test_the_hosted_ones_name_and_decoder_can_be_changed(make_replica: MakeReplica) -> None:
    async with make_replica() as one, make_replica() as two:
        organization, other = await one.organization(), await one.organization()
        changed = await change(
            one, organization.id, "hosted", name="Our space", decoder=DecoderChoice(name="vmark")
        )
        assert (changed.id, changed.name, changed.decoder.name) == ("hosted", "Our space", "vmark")
        await two.directory.catch_up()
        for replica in (one, two):
            asked = GetIntegration(organization=organization.id, actor="k", id="hosted")
            assert await replica.queries.integration(asked) == changed
            page = await replica.queries.integrations(List(organization=organization.id, actor="k"))
            assert page.items == [changed]
            foreign = GetIntegration(organization=other.id, actor="k", id="hosted")
            assert (await replica.queries.integration(foreign)).decoder.name == "standard"
        again = await change(two, organization.id, "hosted", decoder=DecoderChoice(name="vmark"))
        assert again == changed
        events = await one.log.read(subjects.registry(organization.id, "integration", "hosted"))
        assert [recorded.event for recorded in events] == [
            HostedIntegrationChanged(name="Our space", decoder=DecoderChoice(name="vmark"))
        ]


@pytest.mark.parametrize(
    "fields",
    [
        {"settings": {"host": "h"}},
        {"topics": ()},
        {"secrets": {"password": "p"}},
        {"name": "n", "topics": (TopicFilter(filter="a"),)},
    ],
)
async def test_the_hosted_ones_broker_and_topics_cannot(replica: Replica, fields: dict[str, Any]) -> None:
    organization = await replica.organization()
    with refused("integration.hosted"):
        await change(replica, organization.id, "hosted", **fields)


async def test_the_hosted_one_of_an_unknown_or_a_deleted_organization_is_not_changed(
    replica: Replica,
) -> None:
    with pytest.raises(Failure) as caught:
        await change(replica, "org_nobody0000000000", "hosted", name="mine")
    assert caught.value.code == "not_found"
    organization = await replica.organization()
    with refused("decoder.unknown"):
        await change(replica, organization.id, "hosted", decoder=DecoderChoice(name="no-such"))


async def test_the_hosted_ones_name_is_a_name_like_others(replica: Replica) -> None:
    organization, view = await create(replica, {"host": "h"})
    with refused("name.taken"):
        await change(replica, organization, "hosted", name="plant")
    with refused("name.taken") as caught:
        await change(replica, organization, view.id, name="hosted broker")
    assert caught.value.field == "name"
    await change(replica, organization, "hosted", name="Ours")
    await change(replica, organization, view.id, name="Hosted broker")


async def test_the_same_change_twice_with_its_key_is_one_event(replica: Replica) -> None:
    organization = await replica.organization()
    request = ChangeIntegration(
        organization=organization.id,
        actor="k",
        id="hosted",
        decoder=DecoderChoice(name="vmark"),
        command_id=unique("c"),
    )
    assert await replica.integrations.change(request) == await replica.integrations.change(request)
    assert len(await replica.log.read(subjects.registry(organization.id, "integration", "hosted"))) == 1


@pytest.mark.parametrize(
    ("decoder", "code", "field"),
    [
        ({"name": "no-such"}, "decoder.unknown", "decoder.name"),
        ({"name": "vmark", "settings": {"colour": 1}}, "decoder.settings", "decoder.settings.colour"),
        (
            {"name": "vmark", "settings": {"time_zone": "Moon/Base"}},
            "decoder.settings",
            "decoder.settings.time_zone",
        ),
        ({"name": "raw", "settings": {"x": "y" * 32_768}}, "decoder.settings", "decoder.settings"),
    ],
)
@pytest.mark.parametrize("id", ["hosted", "external"])
async def test_a_decoder_that_cannot_be_made_is_not_saved(
    replica: Replica, id: str, decoder: dict[str, Any], code: str, field: str
) -> None:
    organization, view = await create(replica, {"host": "h"})
    with refused(code) as caught:
        changed = DecoderChoice.model_validate(decoder)
        await change(replica, organization, view.id if id == "external" else id, decoder=changed)
    assert caught.value.field == field


async def test_the_largest_settings_that_are_taken_are_stored_and_answered(replica: Replica) -> None:
    authority = make_pair("authority", authority=True)
    leaf = make_pair("leaf", issuer=authority)
    settings = with_certificate(
        leaf,
        ca=authority.certificate.rjust(CERTIFICATES_CHARS_MAX),
        client_certificate=(leaf.certificate + authority.certificate).rjust(CERTIFICATES_CHARS_MAX),
    )
    topics = tuple(TopicFilter(filter=f"{number:03}/" + "ü" * 510) for number in range(TOPICS_MAX))
    organization = await replica.organization()
    request = CreateIntegration(
        organization=organization.id,
        actor="k",
        name="n" * 100,
        settings=broker_settings(**settings),
        secrets={"client_key": SecretStr(leaf.key)},
        topics=topics,
        decoder=DecoderChoice(name="custom", settings={}),
        command_id=unique("c"),
    )
    view = await replica.integrations.create(request)
    assert (view.settings, view.topics) == (request.settings, topics)
    assert view == await replica.integrations.create(request)


async def test_a_change_laid_over_other_settings_than_are_held_is_a_conflict(replica: Replica) -> None:
    organization, view = await create(replica, {"host": "h"})
    based_on = view.settings
    await change(replica, organization, view.id, {"host": "h", "port": 1884}, based_on=based_on)
    with refused("conflict"):
        await change(replica, organization, view.id, {"host": "h", "keepalive_s": 60}, based_on=based_on)


async def test_killed_before_it_erased_the_janitor_erases_what_is_held_no_more(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization, view = await create(replica, {"host": "h", "username": "u"}, password="swordfish")
    old = (await references(replica, organization, view.id))["password"]

    async def killed(_: str) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(replica.vault, "erase", killed)
        with pytest.raises(Killed):
            await change(
                replica, organization, view.id, with_certificate(CLIENT), secrets={"client_key": CLIENT.key}
            )
    assert await replica.secrets.get(old) is not None

    monkeypatch.setattr(vault, "ORPHAN_AGE", timedelta(0))
    await replica.vault.sweep(replica.directory, organization)

    assert await replica.secrets.get(old) is None
    assert await secret(replica, organization, view.id, "client_key") == CLIENT.key


class Killed(BaseException):
    """What kill -9 is to the code."""
