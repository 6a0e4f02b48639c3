"""mosquitto-go-auth's HTTP backend, with response mode `status` or `json`, parameters as JSON or a form.

Forms as in its README and backends/http.go: getuser {username, password, clientid}, superuser {username}, aclcheck
{username, clientid, topic, acc}; 2xx allows, 4xx refuses.
"""

from __future__ import annotations

from contracts.failures import Refused
from services.credentials.http_auth.forms import Answer, Question, json_answer, unknown_action
from services.credentials.http_auth.judge import Client, Judge


async def mosquitto_go_auth(judge: Judge, asked: Question) -> Answer:
    client = Client("mosquitto-go-auth", asked.text("username"), asked.text("clientid"))
    try:
        match asked.action:
            case "user":
                await judge.connect(client, asked.text("password"))
            case "acl":
                _check(judge, client, asked.text("topic"), str(asked.fields.get("acc")))
            case "superuser":
                return _refused("nobody is")
            case _:
                raise unknown_action()
    except Refused as refused:
        if refused.code == "route.unknown":
            raise
        return _refused(refused.code)
    return json_answer({"ok": True, "error": ""})


def _check(judge: Judge, client: Client, topic: str, access: str) -> None:
    match access:
        case "1":  # read, write, both, subscribe: mosquitto.h
            judge.receive(client, topic)
        case "2":
            judge.publish(client, topic)
        case "3":
            judge.receive(client, topic)
            judge.publish(client, topic)
        case "4":
            judge.subscribe(client, topic)
        case _:
            raise Refused("topic.forbidden")


def _refused(code: str) -> Answer:
    return json_answer({"ok": False, "error": code}, 403)
