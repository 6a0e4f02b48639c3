"""VerneMQ's webhooks auth_on_register, auth_on_publish, auth_on_subscribe, and the same for MQTT 5 (…_m5).

Forms as in docs.vernemq.com, plugin development, webhooks. Answers are never cached: no Cache-Control is sent.
"""

from __future__ import annotations

from typing import Any

from contracts.failures import Refused
from services.credentials.http_auth.forms import Answer, Question, json_answer
from services.credentials.http_auth.judge import Client, Judge

REFUSED_V3, REFUSED_V5 = 128, 135  # the QoS that says no to one topic of several


async def vernemq(judge: Judge, asked: Question) -> Answer:
    client = Client("vernemq", asked.text("username"), asked.text("client_id"), asked.text("peer_addr"))
    hook = asked.hook.removesuffix("_m5")
    try:
        match hook:
            case "auth_on_register":
                await judge.connect(client, asked.text("password"))
            case "auth_on_publish":
                judge.publish(client, asked.text("topic"))
            case "auth_on_subscribe":
                return _subscribed(judge, client, asked)
            case _:
                raise Refused("connect.protocol")
    except Refused:
        return json_answer({"result": {"error": "not_allowed"}})
    return json_answer({"result": "ok"})


def _subscribed(judge: Judge, client: Client, asked: Question) -> Answer:
    """Those topics that are allowed, where some are."""
    is_v5 = asked.hook.endswith("_m5")
    topics: list[Any] = asked.fields["topics"] if isinstance(asked.fields.get("topics"), list) else []
    answered: list[dict[str, Any]] = []
    refused = 0
    for each in topics:
        topic, qos = (each.get("topic"), each.get("qos")) if isinstance(each, dict) else (None, None)
        try:
            judge.subscribe(client, topic if isinstance(topic, str) else "")
        except Refused:
            refused += 1
            qos = REFUSED_V5 if is_v5 else REFUSED_V3
        answered.append({"topic": topic, "qos": qos})
    if refused == len(answered):
        raise Refused("filter.forbidden")
    if not refused:
        return json_answer({"result": "ok"})
    if is_v5:
        return json_answer({"result": "ok", "modifiers": {"topics": answered}})
    return json_answer({"result": "ok", "topics": answered})
