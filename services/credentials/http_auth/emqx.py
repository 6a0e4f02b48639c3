"""EMQX 5: HTTP authenticator and HTTP authorizer (docs.emqx.com, access-control/authn/http and authz/http).

The template of the body is ours to choose: docs/guides/http-auth.md has it.
"""

from __future__ import annotations

from contracts.failures import Refused
from services.credentials.http_auth.forms import Answer, Question, json_answer, unknown_action
from services.credentials.http_auth.judge import Client, Judge


async def emqx(judge: Judge, asked: Question) -> Answer:
    client = Client("emqx", asked.text("username"), asked.text("clientid"), asked.text("peerhost"))
    try:
        if asked.action == "authn":
            until = await judge.connect(client, asked.text("password"))
            allowed: dict[str, object] = {"result": "allow", "is_superuser": False}
            return json_answer(allowed if until is None else {**allowed, "expire_at": int(until.timestamp())})
        if asked.action != "authz":
            raise unknown_action()
        match asked.text("action"):
            case "publish":
                judge.publish(client, asked.text("topic"))
            case "subscribe":
                judge.subscribe(client, asked.text("topic"))
            case _:
                return json_answer({"result": "deny"})
    except Refused as refused:
        if refused.code == "route.unknown":
            raise
        # With another status than 200 EMQX would ask its next authorizer, and by default allow.
        return json_answer({"result": "deny"})
    return json_answer({"result": "allow"})
