"""Ways to sign in at a broker, each with the real files and a real peer: what is sent is what was meant."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.brokers import (
    ANY,
    begin,
    choose,
    expect_failed,
    expect_works,
    fill,
    save,
    try_connection,
    upload,
)
from tests.support.aws_front import ALPN, AwsFront
from tests.support.azure_hub import AzureHub
from tests.support.browser import Visitor
from tests.support.certificates import Certificates
from tests.support.eventually import eventually_now
from tests.support.in_background import in_background
from tests.support.mosquitto import Mosquitto
from tests.support.tenant import Tenant

pytestmark = pytest.mark.browser


@pytest.fixture
def server_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    context.load_verify_locations(certificates.authority)
    return context


def test_a_client_certificate_goes_from_its_files_to_a_broker_that_demands_one(
    member: Visitor,
    tenant: Tenant,
    mosquitto: Callable[..., Mosquitto],
    certificates: Certificates,
    tmp_path: Path,
) -> None:
    broker = mosquitto(certificates=certificates, client_certificates=True)
    notes = tmp_path / "notes.txt"
    notes.write_text("no certificate")
    page = member.page
    begin(member, ANY)
    choose(member, "Sign in with", "Nothing")
    fill(member, {"Host": "localhost", "Port": broker.tls_port})
    try_connection(member)
    expect_failed(member, "TLS", "tls.untrusted", "into Certificate authority")
    upload(member, "Certificate authority", certificates.authority)
    try_connection(member)
    expect_failed(member, "MQTT: sign in", "tls.client_certificate_required", "Client certificate")
    choose(member, "Sign in with", "Client certificate")
    upload(member, "Client certificate", notes)
    expect(page.get_by_text("notes.txt is neither a certificate nor a key")).to_be_visible()
    upload(member, "Client certificate", certificates.client)
    upload(member, "Private key", certificates.client)
    expect(page.get_by_text("This holds a certificate: the private key belongs here.")).to_be_visible()
    upload(member, "Private key", certificates.server_key)
    try_connection(member)
    expect(page.get_by_text("the key does not belong to the certificate").first).to_be_visible()
    upload(member, "Private key", certificates.client_key)
    try_connection(member)
    expect_works(member)
    member.assert_accessible()
    id = save(member)
    page.get_by_role("tab", name="Settings").click()
    expect(page.get_by_role("region", name="Client certificate in use")).to_contain_text("CN=test client")
    expect(page.get_by_label("Private key", exact=True)).to_have_value("")
    assert "PRIVATE KEY" not in page.content()
    assert tenant.get(f"/integrations/{id}")["has_secrets"] == ["client_key"]


def test_what_was_emptied_or_checked_again_in_the_settings_is_so_at_the_broker(
    member: Visitor, tenant: Tenant, mosquitto: Callable[..., Mosquitto], certificates: Certificates
) -> None:
    broker = mosquitto(certificates=certificates, users={"plant": "open sesame"})
    settings = {
        "protocol": "mqtts",
        "host": "localhost",
        "port": broker.tls_port,
        "username": "plant",
        "password": "open sesame",
        "topic_prefix": "line-4",
        "tls": {"verify": False, "server_name": "elsewhere"},
    }
    id = tenant.post("/integrations", {"name": "Plant", "settings": settings})["id"]
    member.open(f"/integrations/{id}?tab=settings", "Plant")
    page = member.page
    fill(member, {"Server name": "", "Topic prefix": ""})
    page.get_by_label("Check the broker's certificate").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The settings are saved")).to_be_visible()
    saved = tenant.get(f"/integrations/{id}")
    assert saved["settings"]["topic_prefix"] is None
    assert saved["settings"]["tls"]["server_name"] is None
    assert saved["settings"]["tls"]["verify"] is True
    assert saved["has_secrets"] == ["password"]
    page.get_by_role("tab", name="Status").click()
    trouble = page.get_by_role("alert")
    expect(trouble).to_contain_text("tls.untrusted")
    expect(trouble).to_contain_text("What to do: Put the certificate of the authority")
    page.get_by_role("tab", name="Settings").click()
    upload(member, "Certificate authority, if it is your own", certificates.authority)
    # What stands in the form is tested as it stands, with the password that is held, and is not saved by that
    fill(member, {"Host": "127.0.0.1", "Server name": "localhost"})
    page.get_by_role("button", name="Test the connection").click()
    expect(page.get_by_text("The connection works.")).to_be_visible()
    fill(member, {"Password": "open barley"})
    page.get_by_role("button", name="Test the connection").click()
    expect(page.get_by_text("It does not connect yet")).to_be_visible()
    fill(member, {"Port": "0"})
    page.get_by_role("button", name="Test the connection").click()
    expect(page.get_by_label("Port", exact=True)).to_have_attribute("aria-invalid", "true")
    assert tenant.get(f"/integrations/{id}")["settings"]["host"] == "localhost"
    assert "open sesame" not in page.content()
    fill(member, {"Host": "localhost", "Server name": "", "Password": "", "Port": str(broker.tls_port)})
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Connected", exact=True).first).to_be_visible()


def test_the_form_of_aws_sends_what_its_rules_ask_for(
    member: Visitor,
    mosquitto: Callable[..., Mosquitto],
    certificates: Certificates,
    server_context: ssl.SSLContext,
) -> None:
    with in_background(AwsFront(server_context, mosquitto().port)) as front:
        begin(member, "AWS IoT Core")
        fill(member, {"Endpoint": "localhost", "Port": front.port, "Client id": "line-4:gateway"})
        upload(member, "Certificate", certificates.client)
        upload(member, "Private key", certificates.client_key)
        upload(member, "Certificate authority, if it is your own", certificates.authority)
        member.page.get_by_text("More settings").click()
        fill(member, {"ALPN": ALPN})
        try_connection(member)
        expect_works(member)
        save(member)
        assert set(front.client_ids) == {"line-4:gateway"}
        assert front.violations == []


def test_the_form_of_azure_takes_a_connection_string_and_renews_nothing_by_hand(
    member: Visitor, certificates: Certificates, server_context: ssl.SSLContext
) -> None:
    with in_background(AzureHub(server_context, "gateway-1")) as hub:
        page = member.page
        begin(member, "Azure IoT Hub")
        fill(member, {"Host name": f"HostName={hub.name};DeviceId={hub.device};SharedAccessKey={hub.key}"})
        expect(page.get_by_label("Host name", exact=True)).to_have_value(hub.name)
        expect(page.get_by_label("Device id", exact=True)).to_have_value(hub.device)
        page.get_by_text("More settings").click()
        fill(member, {"Host name": "localhost", "Port": hub.port, "The hub's own name": hub.name})
        upload(member, "Certificate authority, if it is your own", certificates.authority)
        try_connection(member)
        expect_works(member)
        save(member)
        eventually_now(lambda: hub.subscribed)
        page.get_by_role("tab", name="Publish").click()
        fill(member, {"Topic": f"devices/{hub.device}/messages/events/", "Payload": "21.5"})
        page.get_by_role("button", name="Publish").click()
        expect(page.get_by_text("Acknowledged in")).to_be_visible()
        assert hub.received == [(f"devices/{hub.device}/messages/events/", b"21.5")]
        assert hub.violations == []


@pytest.mark.parametrize(
    ("preset", "port"), [("HiveMQ Cloud", "8884"), ("EMQX Cloud", "8084")], ids=["hivemq", "emqx"]
)
def test_a_preset_knows_its_providers_port_of_websockets(member: Visitor, preset: str, port: str) -> None:
    begin(member, preset)
    expect(member.page.get_by_label("Port", exact=True)).to_have_value("8883")
    choose(member, "Protocol", "WebSocket over TLS (wss)")
    expect(member.page.get_by_label("Port", exact=True)).to_have_value(port)
    expect(member.page.get_by_label("Path", exact=True)).to_have_value("")


def test_a_whole_address_fills_the_fields_it_speaks_of(member: Visitor) -> None:
    begin(member, ANY)
    fill(member, {"Host": "ws://plant@broker.example.com:9883/ws"})
    for label, value in {
        "Host": "broker.example.com",
        "Port": "9883",
        "Path": "/ws",
        "User name": "plant",
    }.items():
        expect(member.page.get_by_label(label, exact=True)).to_have_value(value)
    expect(member.page.get_by_role("combobox", name="Protocol")).to_have_value("WebSocket (ws)")
