"""Subscriptions added and removed one by one: of two at the same moment both win."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime
from typing import TypeVar

from contracts.broker_topics import TOPICS_MAX, TopicFilter
from contracts.calls import Call
from contracts.failures import Refused
from contracts.integrations import HOSTED, ChangeIntegration, IntegrationView
from contracts.subscriptions import (
    ADD_SUBSCRIPTION,
    REMOVE_SUBSCRIPTION,
    AddSubscription,
    RemoveSubscription,
)
from runtime.event_log import Append
from services.credentials import integration_decider, views
from services.credentials.commands import Commands, Draft
from services.credentials.handlers import Registry
from services.credentials.state import evolve

CommandT = TypeVar("CommandT", AddSubscription, RemoveSubscription)


def topics_after(
    command: AddSubscription | RemoveSubscription, held: tuple[TopicFilter, ...]
) -> tuple[TopicFilter, ...]:
    """Pure. Refused("limit.reached"), ("not_found") for a filter that is not there, ("request.invalid") for the
    last one: an integration without any would have the defaults."""
    match command:
        case AddSubscription(topic=topic):
            if topic.filter in {each.filter for each in held}:
                return tuple(topic if each.filter == topic.filter else each for each in held)
            if len(held) >= TOPICS_MAX:
                raise Refused("limit.reached", f"an integration has at most {TOPICS_MAX} subscriptions")
            return (*held, topic)
        case RemoveSubscription(filter=filter):
            left = tuple(each for each in held if each.filter != filter)
            if left == held:
                raise Refused("not_found", "there is no subscription with this filter")
            if not left:
                detail = "it is the last one: pause the integration, or add another filter first"
                raise Refused("request.invalid", detail, field="filter")
            return left


def _of_one(refused: Refused) -> Refused:
    """A refusal of a list of topics, for a caller who sent a single one: `topics.3.qos` is its `qos`."""
    list_, _, field = (refused.field or "").partition(".")
    if list_ != "topics":
        return refused
    return Refused(refused.code, refused.detail, field=field.rpartition(".")[2] or "filter")


class SubscriptionHandlers:
    def __init__(self, commands: Commands, registry: Registry) -> None:
        self._commands, self._registry = commands, registry
        # One at a time here; another replica's is noticed by the log, and decided upon anew.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def add(self, request: AddSubscription) -> IntegrationView:
        return await self._run(ADD_SUBSCRIPTION, request)

    async def remove(self, request: RemoveSubscription) -> IntegrationView:
        return await self._run(REMOVE_SUBSCRIPTION, request)

    async def _run(self, call: Call[CommandT, IntegrationView], command: CommandT) -> IntegrationView:
        organization, id = command.organization, command.id
        if id == HOSTED:
            raise Refused("integration.hosted", "the hosted broker's messages all come: nothing is chosen")

        async def decide(now: datetime) -> Draft[IntegrationView]:
            table = self._registry.directory.integrations
            subject, state, last, created_at = await self._registry.load(
                table, "integration", organization, id
            )
            topics = topics_after(command, state.topics)
            change = ChangeIntegration(organization=organization, actor=command.actor, id=id, topics=topics)
            try:
                events = integration_decider.decide_integration(change, state)
            except Refused as refused:
                raise _of_one(refused) from None
            for event in events:
                state = evolve(state, event)
            answer = views.integration_view(id, created_at, state, now)
            return Draft(tuple(Append(subject, event, last) for event in events), answer)

        async with self._turns[organization]:
            return await self._commands.run(call, command, decide)
