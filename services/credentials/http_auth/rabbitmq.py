"""RabbitMQ: rabbitmq_auth_backend_http with http_method = post, for its MQTT plugin.

The forms are those of the plugin's README (user_path, vhost_path, resource_path, topic_path). An MQTT client is to
RabbitMQ a queue of its own (`mqtt-subscription-<client id>qos<n>`) at the exchange `amq.topic`, with `.` for `/`.
"""

from __future__ import annotations

import re

from contracts.failures import Refused
from services.credentials.http_auth.forms import Answer, Question, text_answer, unknown_action
from services.credentials.http_auth.judge import Client, Judge
from services.credentials.ids import client_id_belongs

VHOST = "/"
EXCHANGE = "amq.topic"
_QUEUE = re.compile(r"mqtt-subscription-(.+)qos[01]")
_TO_MQTT = str.maketrans(".*", "/+")  # RabbitMQ itself tells `a.b` and `a/b` no more apart


async def rabbitmq(judge: Judge, asked: Question) -> Answer:
    client_id = asked.optional("client_id") or asked.optional("variable_map.client_id")
    client = Client("rabbitmq", asked.text("username"), client_id, asked.text("ip"))
    try:
        allowed = await _allowed(judge, client, asked)
    except Refused as refused:
        if refused.code == "route.unknown":
            raise
        allowed = False
    return text_answer("allow" if allowed else "deny")


async def _allowed(judge: Judge, client: Client, asked: Question) -> bool:
    match asked.action:
        case "user":
            # Without a client id it is no MQTT client: a device has no business with AMQP.
            await judge.connect(client._replace(client_id=client.client_id or ""), asked.text("password"))
            return True
        case "vhost":
            judge.standing(client)
            return asked.text("vhost") == VHOST
        case "resource":
            return asked.text("vhost") == VHOST and _resource(judge, client, asked)
        case "topic":
            topic = asked.text("routing_key").translate(_TO_MQTT)
            if asked.text("vhost") != VHOST or asked.text("name") != EXCHANGE:
                return False
            if asked.text("permission") == "write":
                judge.publish(client, topic)
            else:
                judge.subscribe(client, topic)
            return True
        case _:
            raise unknown_action()


def _resource(judge: Judge, client: Client, asked: Question) -> bool:
    entry = judge.standing(client)
    name, permission = asked.text("name"), asked.text("permission")
    if asked.text("resource") == "exchange":
        return name == EXCHANGE and permission in ("read", "write")
    queue = _QUEUE.fullmatch(name)
    return queue is not None and client_id_belongs(queue[1], entry.state.client_id)
