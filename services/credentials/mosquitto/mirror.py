"""What the broker holds, as far as its answers tell."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.credentials.mosquitto.wanted import Acl, Command, Held


@dataclass(slots=True)
class Mirror:
    """By name; a full reading makes a new one, each command changes it."""

    clients: dict[str, Held] = field(default_factory=dict)
    roles: dict[str, frozenset[Acl]] = field(default_factory=dict)

    def take(self, command: Command) -> None:
        """The broker did it."""
        match command:
            case {"command": "createRole" | "modifyRole", "rolename": name}:
                self.roles[name] = frozenset(Acl(acl["acltype"], acl["topic"]) for acl in command["acls"])
            case {"command": "deleteRole", "rolename": name}:
                self.roles.pop(name, None)
            case {"command": "deleteClient", "username": name}:
                self.clients.pop(name, None)
            case {"username": name}:
                held = self.clients.get(name, Held(None, None, ()))
                roles = command.get("roles")
                self.clients[name] = Held(
                    command.get("clientid", held.client_id),
                    command.get("textdescription", held.tag),
                    held.roles if roles is None else tuple(role["rolename"] for role in roles),
                    held.disabled and command["command"] != "enableClient",
                )

    def doubt(self, command: Command) -> None:
        """The broker refused it: there already, or gone already, by another replica or by hand."""
        match command:
            case {"command": "createRole", "rolename": name}:
                self.roles[name] = frozenset()
            case {"command": "createClient", "username": name}:
                self.clients[name] = Held(None, None, ())
            case {"rolename": name}:
                self.roles.pop(name, None)
            case {"username": name}:
                self.clients.pop(name, None)
