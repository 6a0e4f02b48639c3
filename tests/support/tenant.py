"""A tenant of a running platform, as its people use it: by HTTP and MQTT, with nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from deploy.local.ports import LOOPBACK
from deploy.local.stack import Stack
from tests.support.clients import NO_TLS


@dataclass(frozen=True)
class Device:
    """A credential as it was issued."""

    id: str
    username: str
    password: str
    client_id: str
    topic_prefix: str

    def topic(self, rest: str) -> str:
        return f"{self.topic_prefix}/{rest}"

    def client(self, *, suffix: str = "", websockets: bool = False, **options: Any) -> mqtt.Client:
        """A paho client that is not connected yet."""
        transport: Any = "websockets" if websockets else "tcp"
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self.client_id + suffix, transport=transport, **options
        )
        if websockets:
            client.ws_set_options("/mqtt")
        client.username_pw_set(self.username, self.password)
        return client


class Tenant:
    """An organization with its first API key."""

    def __init__(self, stack: Stack, name: str = "Acme") -> None:
        self.stack = stack
        admin = {"Authorization": f"Bearer {stack.addresses.admin_key}"}
        self.http = httpx.Client(verify=NO_TLS, base_url=stack.addresses.gateway, timeout=20)
        created = self.http.post("/v1/organizations", json={"name": name}, headers=admin)
        assert created.status_code == 201, created.text
        self.id: str = created.json()["id"]
        self.key: str = created.json()["api_key"]["secret"]
        self.http.headers["Authorization"] = f"Bearer {self.key}"

    def close(self) -> None:
        self.http.close()

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """The body of a 200."""
        answer = self.http.get(f"/v1{path}", params=parameters)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        body: dict[str, Any] = answer.json()
        return body

    def post(self, path: str, body: Any, *, expect: int = 201, **headers: str) -> dict[str, Any]:
        answer = self.http.post(f"/v1{path}", json=body, headers=headers)
        assert answer.status_code == expect, f"{path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else {}

    def issue(self, device_id: str | None = None, **wishes: Any) -> Device:
        body = {**({"device_id": device_id} if device_id else {}), **wishes}
        given = self.post("/credentials", body)
        names = ("id", "username", "password", "client_id", "topic_prefix")
        return Device(**{name: given[name] for name in names})

    def all(self, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        cursor = None
        while True:
            page = self.get(path, limit=1000, **({"cursor": cursor} if cursor else {}), **parameters)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def stream(self, **headers: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Events of GET /v1/stream as (id, data), until the caller leaves off."""
        with self.http.stream("GET", "/v1/stream", headers=headers, timeout=httpx.Timeout(20)) as answer:
            assert answer.status_code == 200, answer.status_code
            identifier, event = "", ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    identifier = value
                elif name == "event":
                    event = value
                elif name == "data" and event == "message":
                    yield identifier, json.loads(value)


def connect(client: mqtt.Client, port: int) -> None:
    """Connected and running in a thread of its own; raises when the broker refuses."""
    outcome: list[Any] = []
    client.on_connect = lambda _client, _data, _flags, reason, _properties: outcome.append(reason)
    client.connect(LOOPBACK, port, keepalive=30)
    client.loop_start()
    from tests.support.eventually import eventually_now

    eventually_now(lambda: bool(outcome))
    if outcome[0].is_failure:
        client.loop_stop()
        raise ConnectionRefusedError(str(outcome[0]))


def disconnect(client: mqtt.Client) -> None:
    client.disconnect()
    client.loop_stop()


def drop(client: mqtt.Client) -> None:
    """The connection breaks: no DISCONNECT is sent."""
    held = client.socket()
    assert held is not None
    held.close()
