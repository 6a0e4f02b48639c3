"""Messages of the hosted broker when it is Mosquitto: a durable MQTT 5 session of the platform's own client.

What comes is written as nats-server's own source would (subject, `Nmqtt-Pub`), so no reader sees a difference.
One replica of ingest holds the session; QoS 1 and 2 are acknowledged once stored.
"""

from __future__ import annotations

from functools import lru_cache

from contracts import messages, topics
from contracts.acl import DEVICES
from contracts.broker_topics import TopicFilter
from contracts.envelope import SOURCE
from contracts.failures import Refused
from contracts.organizations import PLATFORM
from contracts.subjects import HOSTED, hosted_message, messages_of_hosted
from runtime.activity import ActivityLog
from runtime.bus import Bus
from runtime.log_writer import LogWriter
from services.ingest.bridge import Bridge, Place
from services.ingest.claim import Claim
from services.ingest.drops import Drops
from services.ingest.flow import Flow
from services.ingest.frames import Incoming
from services.ingest.hosted_listener import hosted_broker
from services.ingest.link import Link
from services.ingest.links import Key, Wanted
from services.ingest.network import Network
from services.ingest.policy import ANYTHING
from services.ingest.recall import recall
from services.ingest.session import Session
from services.ingest.settings import Settings

# The session is there before the broker lets the first device in: whoever starts the broker sees to that.
SESSION_CLIENT_ID = "platform-hosted"
FILTER = TopicFilter(filter="+/devices/#", qos=2)  # 2: as it was published
KEEPALIVE_S = 10  # a hung broker is noticed within seconds
_LINES = f"{SOURCE}: {HOSTED}\r\n"


@lru_cache(maxsize=65_536)
def hosted_place(topic: str) -> Place | None:
    """None for what no subject can say (a space, `*`, `>`), and for a topic without a channel."""
    try:
        topics.check_topic(topic)
    except Refused:
        return None
    parts = topics.to_subject(topic).split(".", 3)
    if len(parts) < 4 or parts[1] != DEVICES:
        return None
    organization, _, device, rest = parts
    return Place(hosted_message(organization, device, rest), _LINES)


class HostedBridge(Bridge):
    """A bridge whose messages are many organizations'."""

    qos_header = messages.NATS_MQTT_PUBLISH

    def _take(self, session: Session, message: Incoming, received: str, begun: str) -> None:
        if message.retain:  # a retained copy for a new subscription: it came before, as it was published
            self._acknowledge(session, message.mid, message.qos)
        else:
            super()._take(session, message, received, begun)

    def _place(self, topic: str) -> Place | None:
        return hosted_place(topic)

    def _drop(self, reason: str, topic: str) -> None:
        self._drops.add(topic.partition("/")[0], HOSTED, kind="hosted.dropped", reason=reason)


HOSTED_LINK = Key(PLATFORM, HOSTED)


def hosted_link(bus: Bus, settings: Settings, writer: LogWriter, activity: ActivityLog, drops: Drops) -> Link:
    """Its `run()` is the work of the replica that owns it."""
    broker = hosted_broker(
        settings.hosted_mqtt_url,
        settings.platform_ca,
        mqtt_version="5",
        username=settings.hosted_mqtt_username,
        client_id=SESSION_CLIENT_ID,
        keepalive_s=KEEPALIVE_S,
    )

    async def bridge(claim: Claim, flow: Flow) -> Bridge:
        window = await recall(bus.client, messages_of_hosted())
        limit = settings.link_inflight_max
        return HostedBridge(*HOSTED_LINK, writer, window, claim, flow, inflight_max=limit, drops=drops)

    async def secrets(_: Wanted) -> dict[str, str]:
        return {"password": settings.hosted_mqtt_password.get_secret_value()}

    return Link(
        Wanted(HOSTED_LINK, broker, (FILTER,)),
        bridge=bridge,
        read_secrets=secrets,
        activity=activity,
        network=Network(ANYTHING),  # the operator's own address
        # Our own broker: tried every half second. While we are away, a crash of it can lose a message (ADR 8).
        attempts_counted=0,
    )
