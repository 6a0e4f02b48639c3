"""The hosted Mosquitto's dynamic security, worked on by hand."""

from __future__ import annotations

import json
import queue
import uuid
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from deploy.local.ports import LOOPBACK
from deploy.local.stack import Stack

CONTROL = "$CONTROL/dynamic-security/v1"


class Admin:
    """`with`: connected inside."""

    def __init__(self, stack: Stack) -> None:
        assert stack.mosquitto is not None
        self._port = stack.mosquitto.platform_port
        self._mark = uuid.uuid4().hex
        self._answers: queue.Queue[list[dict[str, Any]]] = queue.Queue()
        subscribed: queue.Queue[None] = queue.Queue()
        self._subscribed = subscribed
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set("platform-credentials", stack.mosquitto.admin_password)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: subscribed.put(None)
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        self._client.connect(LOOPBACK, self._port)
        self._client.loop_start()
        self._subscribed.get(timeout=5)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def do(self, *commands: dict[str, Any]) -> list[dict[str, Any]]:
        """All in one message; fails where the broker refuses one."""
        marked = [{**command, "correlationData": self._mark} for command in commands]
        self._client.publish(CONTROL, json.dumps({"commands": marked}), qos=1)
        answers = self._answers.get(timeout=20)
        assert not [answer for answer in answers if "error" in answer], answers
        return answers

    def clients(self) -> dict[str, dict[str, Any]]:
        [answer] = self.do({"command": "listClients", "verbose": True, "count": -1, "offset": 0})
        return {item["username"]: item for item in answer["data"]["clients"]}

    def roles(self) -> dict[str, dict[str, Any]]:
        [answer] = self.do({"command": "listRoles", "verbose": True, "count": -1, "offset": 0})
        return {item["rolename"]: item for item in answer["data"]["roles"]}

    def nothing_by_default(self) -> bool:
        [access] = self.do({"command": "getDefaultACLAccess"})
        [groups] = self.do({"command": "listGroups", "verbose": False, "count": -1, "offset": 0})
        allowed = {acl["acltype"] for acl in access["data"]["acls"] if acl["allow"]}
        return allowed <= {"unsubscribe"} and not groups["data"]["groups"]

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        answers = json.loads(message.payload)["responses"]
        if answers[0].get("correlationData") == self._mark:  # and not what the service asked
            self._answers.put(answers)

    def _on_connect(self, *_: object) -> None:
        self._client.subscribe(f"{CONTROL}/response", qos=1)
