"""Subscriptions added and removed one by one: of two at the same moment both win."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

from contracts.broker_topics import TOPICS_MAX, TopicFilter
from contracts.calls import AnswerT, Call
from contracts.failures import Refused
from contracts.integrations import HOSTED, ChangeIntegration, IntegrationView
from contracts.subscriptions import (
    ADD_SUBSCRIPTION,
    REMOVE_SUBSCRIPTION,
    AddSubscription,
    RemoveSubscription,
    SubscriptionAdded,
)
from contracts.webhooks import new_secret
from runtime.event_log import Append
from services.credentials import callbacks, integration_decider, views
from services.credentials.commands import Commands, Decide, Draft, Prepare, nothing
from services.credentials.handlers import Registry
from services.credentials.vault import Vault

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
    def __init__(self, commands: Commands, registry: Registry, vault: Vault) -> None:
        self._commands, self._registry, self._vault = commands, registry, vault
        # One at a time here; another replica's is noticed by the log, and decided upon anew.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def add(self, request: AddSubscription) -> SubscriptionAdded:
        secret = new_secret()

        async def decide(_: datetime) -> Draft[SubscriptionAdded]:
            _view, appends = await self._changed(request)
            await self._registry.directory.catch_up()  # another replica may have written of its callback
            ofcallback, answer = callbacks.wished(self._registry.directory, request, secret)
            return Draft((*appends, *ofcallback), answer)

        return await self._run(ADD_SUBSCRIPTION, request, decide, callbacks.stored(self._vault))

    async def remove(self, request: RemoveSubscription) -> IntegrationView:
        async def decide(now: datetime) -> Draft[IntegrationView]:
            view, appends = await self._changed(request)
            ended = callbacks.ended(
                self._registry.directory, request.organization, request.id, request.filter
            )
            return Draft((*appends, *ended), view(now))

        return await self._run(REMOVE_SUBSCRIPTION, request, decide)

    async def _run(
        self,
        call: Call[CommandT, AnswerT],
        command: CommandT,
        decide: Decide[AnswerT],
        prepare: Prepare = nothing,
    ) -> AnswerT:
        if command.id == HOSTED:
            raise Refused("integration.hosted", "the hosted broker's messages all come: nothing is chosen")
        async with self._turns[command.organization]:
            return await self._commands.run(call, command, decide, prepare)

    async def _changed(
        self, command: AddSubscription | RemoveSubscription
    ) -> tuple[Callable[[datetime], IntegrationView], tuple[Append, ...]]:
        """The integration as it will be, and what makes it so."""
        organization, id = command.organization, command.id
        table = self._registry.directory.integrations
        subject, state, last, created_at = await self._registry.load(table, "integration", organization, id)
        topics = topics_after(command, state.topics)
        change = ChangeIntegration(organization=organization, actor=command.actor, id=id, topics=topics)
        try:
            events = integration_decider.decide_integration(change, state)
        except Refused as refused:
            raise _of_one(refused) from None
        for event in events:
            state = state.evolve(event)
        view = partial(views.integration_view, id, created_at, state)
        return view, tuple(Append(subject, event, last) for event in events)
