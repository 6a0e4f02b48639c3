"""The whole of dynamic-security as a file: how a fresh or damaged broker is restored before it starts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from services.credentials.mosquitto import verifier
from services.credentials.mosquitto.staff import STAFF
from services.credentials.mosquitto.wanted import NOBODY, Client, role


def render(devices: Iterable[Client], staff_passwords: Mapping[str, str]) -> str:
    """For `plugin_opt_config_file`; raises KeyError where one of the staff has no password."""
    clients = [_client(staff, verifier.make(staff_passwords[name])) for name, staff in STAFF.items()]
    roles = [role(staff) for staff in STAFF.values()]
    for device in devices:
        assert device.verifier is not None
        clients.append(_client(device, device.verifier))
        roles.append(role(device))
    # The plugin inserts each in order, by a search from the front: backwards it finds its place at once.
    clients.sort(key=lambda client: client["username"], reverse=True)
    roles.sort(key=lambda held: held["rolename"], reverse=True)
    return json.dumps(
        {"defaultACLAccess": dict(NOBODY), "clients": clients, "groups": [], "roles": roles},
        separators=(",", ":"),
    )


def _client(client: Client, held: str) -> dict[str, Any]:
    iterations, salt, digest = verifier.parse(held)
    document: dict[str, Any] = {
        "username": client.username,
        "roles": [{"rolename": client.username}],
        "password": digest,
        "salt": salt,
        "iterations": iterations,
    }
    if client.client_id is not None:
        document["clientid"] = client.client_id
    if client.tag is not None:
        document["textdescription"] = client.tag
    return document
