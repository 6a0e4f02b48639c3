"""What Mosquitto should hold for a credential, and the commands that lead there from what it holds. Pure.

A client and a role of its own for each credential, both named by its id. The client's `textdescription` is the
salt of its verifier: the broker never shows a password's hash, and so tells which password it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.credentials.mosquitto import verifier
from services.credentials.states.credential import Credential

Command = dict[str, Any]
NOBODY: Mapping[str, bool] = {
    "publishClientSend": False,
    "publishClientReceive": False,
    "subscribe": False,
    "unsubscribe": True,
}
"""Whoever has no role may nothing. Ending a subscription harms nobody."""


class Acl(NamedTuple):
    type: str
    topic: str


@dataclass(frozen=True, slots=True)
class Client:
    """As it should be; `client_id` None: any. `verifier` None: the password is not ours to tell."""

    username: str
    client_id: str | None
    acls: frozenset[Acl]
    verifier: str | None = None

    @property
    def tag(self) -> str | None:
        return verifier.parse(self.verifier).salt if self.verifier else None


class Held(NamedTuple):
    """A client as the broker has it."""

    client_id: str | None
    tag: str | None
    roles: tuple[str, ...]
    disabled: bool = False


class Repair(NamedTuple):
    """`missing`: only a restore helps, since no command takes a password's hash."""

    commands: tuple[Command, ...] = ()
    missing: bool = False


def device(id: str, state: Credential) -> Client | None:
    """The client of a credential that is active; None where it was issued before there were verifiers."""
    if state.broker_verifier is None:
        return None
    acls = acls_of(publishable(state.publish), state.subscribe)
    return Client(id, state.client_id, acls, state.broker_verifier)


def acls_of(publish: Iterable[str], subscribe: Iterable[str]) -> frozenset[Acl]:
    """What is not listed is denied; delivery is asked about too, since a SUBACK says too much (FACTS)."""
    sends = [Acl("publishClientSend", filter) for filter in publish]
    hears = [
        Acl(type, topic)
        for filter in subscribe
        for type, topic in (
            ("subscribePattern", filter),
            ("subscribePattern", f"$share/+/{filter}"),
            ("publishClientReceive", filter),
        )
    ]
    return frozenset((*sends, *hears))


def publishable(filters: Iterable[str]) -> list[str]:
    """As `contracts.acl`: a device publishes to a channel below its id, never to `devices/<device>` itself."""
    found = []
    for filter in filters:
        levels = filter.split("/")
        if levels[1:2] != ["devices"]:
            found.append(filter)
        elif levels[-1] == "#":
            found.append("/".join([*levels[:-1], *["+"] * max(0, 5 - len(levels)), "#"]))
        elif len(levels) > 3:
            found.append(filter)
    return found


def repair(
    name: str,
    wanted: Client | None,
    held: Held | None,
    acls: frozenset[Acl] | None,
    password: str | None = None,
) -> Repair:
    """From what the broker holds under this name to what it should; `password` where it is at hand."""
    if wanted is None:
        # The client first: that ends its session.
        gone = [{"command": "deleteClient", "username": name}] if held is not None else []
        gone += [{"command": "deleteRole", "rolename": name}] if acls is not None else []
        return Repair(tuple(gone))
    commands: list[Command] = []
    if acls != wanted.acls:
        commands.append({"command": "createRole" if acls is None else "modifyRole", **role(wanted)})
    client: Command = {"username": name, "roles": [{"rolename": name}]}
    secret = {"password": password, "textdescription": wanted.tag}
    if held is None:
        if password is None:
            return Repair(tuple(commands), missing=True)
        bound = {"clientid": wanted.client_id} if wanted.client_id else {}
        return Repair((*commands, {"command": "createClient", **client, **bound, **secret}))
    stale = wanted.tag is not None and held.tag != wanted.tag
    if stale and password is not None:
        commands.append({"command": "modifyClient", **client, **secret})
    elif held.roles != (name,):
        commands.append({"command": "modifyClient", **client})
    if wanted.client_id is not None and held.client_id != wanted.client_id:
        commands.append({"command": "setClientId", "username": name, "clientid": wanted.client_id})
    if held.disabled:
        commands.append({"command": "enableClient", "username": name})
    return Repair(tuple(commands), missing=stale and password is None)


def role(client: Client) -> dict[str, Any]:
    """A client's role as commands and the file have it."""
    rules = [
        {"acltype": acl.type, "topic": acl.topic, "priority": 0, "allow": True} for acl in sorted(client.acls)
    ]
    return {"rolename": client.username, "acls": rules}
