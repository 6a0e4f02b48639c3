"""What Mosquitto should hold, and the way there: pure."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.topics import matches
from services.credentials.mosquitto import verifier
from services.credentials.mosquitto.document import render
from services.credentials.mosquitto.expiries import Expiries
from services.credentials.mosquitto.presence import _CONNECTED, _ENDED
from services.credentials.mosquitto.staff import STAFF
from services.credentials.mosquitto.wanted import Acl, Client, Held, acls_of, device, publishable, repair
from services.credentials.states.credential import Credential

ID = "cred_0123456789abcdef"
STATE = Credential(
    "active",
    client_id="abcdefghijklmnop",
    publish=("org_a/devices/d1/#",),
    subscribe=("org_a/commands/d1/#",),
    broker_verifier=verifier.make("secret"),
)


def wanted(state: Credential = STATE) -> Client:
    client = device(ID, state)
    assert client is not None
    return client


def held(client: Client) -> Held:
    return Held(client.client_id, client.tag, (client.username,))


def names(commands: tuple[dict[str, object], ...]) -> list[object]:
    return [command["command"] for command in commands]


def test_a_verifier_is_the_salted_hash_that_the_plugin_computes() -> None:
    parts = verifier.parse(verifier.make("secret", iterations=3))
    salt = base64.b64decode(parts.salt)
    assert len(salt) == 12
    assert base64.b64decode(parts.hash) == hashlib.pbkdf2_hmac("sha512", b"secret", salt, 3)
    assert verifier.make("secret") != verifier.make("secret")


def test_a_verifier_of_another_scheme_is_told() -> None:
    with pytest.raises(ValueError, match="argon2"):
        verifier.parse("argon2id:1:a:b")


@pytest.mark.parametrize(
    ("filter", "publishes", "does_not"),
    [
        ("org_a/devices/d1/#", "org_a/devices/d1/telemetry", "org_a/devices/d1"),
        ("org_a/devices/d1/#", "org_a/devices/d1/a/b", "org_a/devices"),
        ("org_a/devices/#", "org_a/devices/d1/telemetry", "org_a/devices/d1"),
        ("org_a/devices/d1/telemetry", "org_a/devices/d1/telemetry", "org_a/devices/d1/status"),
        ("org_a/commands/#", "org_a/commands/d1/x", "org_a/devices/d1/x"),
    ],
)
def test_a_device_publishes_to_a_channel_and_not_to_itself(
    filter: str, publishes: str, does_not: str
) -> None:
    [allowed] = publishable([filter])
    assert matches(allowed, publishes)
    assert not matches(allowed, does_not)


def test_a_filter_without_a_channel_allows_nothing() -> None:
    assert publishable(["org_a/devices/d1"]) == []


def test_an_equal_broker_needs_nothing() -> None:
    client = wanted()
    assert repair(ID, client, held(client), client.acls) == ((), False)


def test_a_new_credential_is_a_role_and_a_client_bound_to_its_client_id() -> None:
    commands, missing = repair(ID, wanted(), None, None, "secret")
    assert names(commands) == ["createRole", "createClient"]
    assert commands[1]["clientid"] == "abcdefghijklmnop"
    assert not missing


def test_a_client_whose_password_nobody_has_is_missing() -> None:
    client = wanted()
    assert repair(ID, client, None, client.acls).missing
    assert repair(ID, client, held(client)._replace(tag="another"), client.acls).missing


def test_a_credential_that_ended_loses_its_client_first() -> None:
    client = wanted()
    assert names(repair(ID, None, held(client), client.acls).commands) == ["deleteClient", "deleteRole"]
    assert repair(ID, None, None, None).commands == ()


@pytest.mark.parametrize(
    ("change", "command"),
    [
        ({"roles": ()}, "modifyClient"),
        ({"roles": (ID, "rogue")}, "modifyClient"),
        ({"client_id": "other"}, "setClientId"),
        ({"disabled": True}, "enableClient"),
    ],
)
def test_what_differs_is_set_right(change: dict[str, Any], command: str) -> None:
    client = wanted()
    assert names(repair(ID, client, held(client)._replace(**change), client.acls).commands) == [command]


def test_another_rule_in_the_role_is_set_right() -> None:
    client = wanted()
    more = client.acls | {Acl("publishClientSend", "#")}
    assert names(repair(ID, client, held(client), more).commands) == ["modifyRole"]


def test_the_file_says_what_the_commands_would() -> None:
    client = wanted()
    document = json.loads(render([client], dict.fromkeys(STAFF, "secret")))
    held_clients = {item["username"]: item for item in document["clients"]}
    assert held_clients.keys() == {ID, *STAFF}
    assert held_clients[ID]["textdescription"] == client.tag
    roles = {item["rolename"]: item for item in document["roles"]}
    assert {Acl(acl["acltype"], acl["topic"]) for acl in roles[ID]["acls"]} == client.acls
    assert not any(document["defaultACLAccess"][type] for type in ("publishClientSend", "subscribe"))


def test_a_shared_subscription_is_allowed_where_its_filter_is() -> None:
    acls = acls_of((), ("org_a/#",))
    assert Acl("subscribePattern", "$share/+/org_a/#") in acls
    assert Acl("publishClientReceive", "$share/+/org_a/#") not in acls


def test_an_expiry_is_told_once() -> None:
    now = datetime.now(UTC)
    expiries = Expiries()
    expiries.note("past", now - timedelta(seconds=1), now)
    expiries.note("soon", now + timedelta(seconds=1), now)
    expiries.note("never", None, now)
    assert 0 < expiries.next_s(now) <= 1
    assert expiries.due(now) == []
    assert expiries.due(now + timedelta(seconds=2)) == ["soon"]
    assert expiries.next_s(now) == float("inf")


STRANGERS = [
    "Client abcdefghijklmnop disconnected, not authorised.",
    "Client abcdefghijklmnop disconnected. disconnected, not authorised.",
    "Client x abcdefghijklmnop disconnected.",
    "New connection from 127.0.0.1:4 on port 1883.",
    "New client connected from 1.2.3.4:5 as abcdefghijklmnop (p5, c1, k60, u'admin').",
]


@pytest.mark.parametrize("line", STRANGERS)
def test_a_strangers_line_is_nobodys_presence(line: str) -> None:
    assert not _CONNECTED.fullmatch(line)
    assert not _ENDED.fullmatch(line)
