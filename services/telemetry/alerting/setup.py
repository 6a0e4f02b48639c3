"""Everything of alerts in one place: feeds that follow the projections, the outbox, the read model, the calls."""

from __future__ import annotations

from functools import partial

import asyncpg

from contracts import alerts
from contracts.alert_previews import PREVIEW_ALERT_RULE
from contracts.streams import ALERTS
from runtime import rpc
from runtime.activity import ActivityLog
from runtime.bus import Bus
from runtime.event_log import EventLog
from runtime.service import Service
from services.telemetry.alerting.calls import AlertCalls
from services.telemetry.alerting.feed import ActivityFeed, MessageFeed
from services.telemetry.alerting.of_activity import ActivityBoard
from services.telemetry.alerting.of_messages import MessageBoard
from services.telemetry.alerting.of_presence import PresenceBoard
from services.telemetry.alerting.outbox import Outbox
from services.telemetry.alerting.past import past
from services.telemetry.alerting.presence_feed import PresenceFeed
from services.telemetry.alerting.preview import AlertPreviews
from services.telemetry.directory import Directory
from services.telemetry.queries import Queries

NAME = "telemetry"


class Alerting:
    """`messages` and `activity` follow the projections; `run` starts what is a task of its own."""

    def __init__(self, bus: Bus, pool: asyncpg.Pool, directory: Directory) -> None:
        self._bus, self._pool, self._directory = bus, pool, directory
        self._outbox = Outbox(bus, pool)
        rules, known, told = directory.rules, directory.complete, self._outbox.wake
        self.messages = MessageFeed(bus.client, pool, MessageBoard(rules), known, told)
        self.activity = ActivityFeed(bus.client, pool, ActivityBoard(rules), known, told)
        self._presence = PresenceFeed(bus.client, pool, PresenceBoard(rules), known, told)

    def run(self, service: Service) -> None:
        service.task(self._outbox.run(), "alerts told")
        service.task(self.messages.run(), "alerts of messages")
        service.task(self.activity.run(), "alerts of activity")
        service.task(self._presence.run(), "alerts of presence")

    def serve(self, answers: Queries, said: ActivityLog) -> None:
        broker = self._bus.broker
        calls = AlertCalls(EventLog(self._bus.client, ALERTS.name), answers.store, said)
        rpc.serve(broker, alerts.LIST_ALERTS, answers.list_alerts, queue=NAME)
        rpc.serve(broker, alerts.GET_ALERT, answers.get_alert, queue=NAME)
        rpc.serve(broker, alerts.ACKNOWLEDGE_ALERT, calls.acknowledge, queue=NAME)
        rpc.serve(broker, alerts.RESOLVE_ALERT, calls.resolve, queue=NAME)
        previews = AlertPreviews(partial(past, answers.store))
        rpc.serve(broker, PREVIEW_ALERT_RULE, previews.preview, queue=NAME)
