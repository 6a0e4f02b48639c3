"""Integrations: the hosted broker (`hosted`) and a tenant's own brokers."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from litestar import delete, get, patch, post
from litestar.params import JSONBody
from pydantic import SecretStr

from contracts.broker_secrets import BrokerSettingsWithSecrets
from contracts.calls import Page
from contracts.decoder_previews import CHECK_DECODER, CheckDecoder
from contracts.decoders.choice import checked
from contracts.decoders.custom_settings import CustomSettings
from contracts.failures import Refused
from contracts.integrations import (
    CHANGE_INTEGRATION,
    CREATE_INTEGRATION,
    DELETE_INTEGRATION,
    GET_INTEGRATION,
    LIST_INTEGRATIONS,
    ChangeIntegration,
    CreateIntegration,
    DecoderChoice,
    DeleteIntegration,
    GetIntegration,
    IntegrationView,
    Topics,
)
from contracts.organizations import List, Name, Principal
from contracts.presets import PRESETS, Preset
from services.gateway.bodies import Body
from services.gateway.merge import changed_settings
from services.gateway.parameters import Caller, CommandId, Cursor, Id, Limit
from services.gateway.settings import MESSAGE_BODY_BYTES_MAX
from services.gateway.state import Backend, Gateway

ATTEMPTS, CONFLICT_PAUSE_S = 5, 0.05  # two who change different settings at once both have their way


class NewIntegration(Body):
    """`settings` by `auth`; where that is absent: password if there is a user name, else none.

    Secrets (`password`, `tls.client_key`, `shared_access_key`) are written and never read back. Without topics
    it subscribes to those that are usual for this kind of broker.
    """

    name: Name
    broker_type: Literal["external"] = "external"
    settings: BrokerSettingsWithSecrets
    topics: Topics = ()
    decoder: DecoderChoice = DecoderChoice()


class IntegrationChange(Body):
    """What is not sent stays, in `settings` too; null takes a member of it back to its default.

    A secret that is not sent, or null, stays. With another `auth`, what no longer belongs goes and its secrets
    are erased. Of the hosted integration, name and decoder can be changed.
    """

    name: Name | None = None
    settings: dict[str, Any] | None = None
    topics: Topics | None = None
    decoder: DecoderChoice | None = None


@get("/v1/integrations")
async def list_integrations(
    gateway: Backend, caller: Caller, limit: Limit = 100, cursor: Cursor = None
) -> Page[IntegrationView]:
    """List integrations; the hosted broker is one of them."""
    query = List(organization=caller.organization, actor=caller.actor, limit=limit, cursor=cursor)
    return await gateway.ask(LIST_INTEGRATIONS, query)


@get("/v1/integrations/presets")
async def list_presets(caller: Caller) -> Page[Preset]:
    """List presets: well-known brokers, with what to fill in and where to find it."""
    del caller  # the same for everybody
    return Page(items=list(PRESETS))


@post(
    "/v1/integrations",
    request_max_body_size=MESSAGE_BODY_BYTES_MAX,
    opt={
        "failures": (
            "certificate.invalid",
            "decoder.settings",
            "decoder.unknown",
            "filter.invalid",
            "name.taken",
            "limit.reached",
        )
    },
)
async def create_integration(
    data: JSONBody[NewIntegration],
    gateway: Backend,
    caller: Caller,
    command_id: CommandId,
) -> IntegrationView:
    """Connect an external broker."""
    await check_decoder(gateway, caller, data.decoder)
    organization = caller.organization
    command = CreateIntegration(
        organization=organization,
        actor=caller.actor,
        command_id=command_id,
        name=data.name,
        settings=data.settings.public(),
        secrets=secrets_of(data.settings),
        topics=data.topics,
        decoder=data.decoder,
    )
    return await gateway.ask(CREATE_INTEGRATION, command)


@get("/v1/integrations/{id:str}")
async def get_integration(id: Id, gateway: Backend, caller: Caller) -> IntegrationView:
    """Get an integration, without its secrets."""
    return await gateway.ask(
        GET_INTEGRATION, GetIntegration(organization=caller.organization, actor=caller.actor, id=id)
    )


@patch(
    "/v1/integrations/{id:str}",
    request_max_body_size=MESSAGE_BODY_BYTES_MAX,
    opt={
        "failures": (
            "integration.hosted",
            "certificate.invalid",
            "decoder.settings",
            "decoder.unknown",
            "filter.invalid",
            "name.taken",
            "conflict",
        )
    },
)
async def change_integration(
    id: Id, data: JSONBody[IntegrationChange], gateway: Backend, caller: Caller
) -> IntegrationView:
    """Change an integration; its connection follows without a restart."""
    if data.decoder is not None:
        await check_decoder(gateway, caller, data.decoder)
    command = ChangeIntegration(
        organization=caller.organization,
        actor=caller.actor,
        id=id,
        name=data.name,
        topics=data.topics,
        decoder=data.decoder,
    )
    if data.settings is None:
        return await gateway.ask(CHANGE_INTEGRATION, command)
    for _ in range(ATTEMPTS - 1):
        try:
            return await _change_settings(gateway, command, data.settings)
        except Refused as refused:
            if refused.code != "conflict":
                raise
            await asyncio.sleep(CONFLICT_PAUSE_S)
    return await _change_settings(gateway, command, data.settings)


async def _change_settings(
    gateway: Gateway, command: ChangeIntegration, change: dict[str, Any]
) -> IntegrationView:
    """Refused("conflict") where somebody else changed them between reading and writing."""
    asked = GetIntegration(organization=command.organization, actor=command.actor, id=command.id)
    held = await gateway.ask(GET_INTEGRATION, asked)
    merged = changed_settings(held.settings, change)
    laid_over = {"settings": merged.public(), "secrets": secrets_of(merged), "based_on": held.settings}
    return await gateway.ask(CHANGE_INTEGRATION, command.model_copy(update=laid_over))


@delete("/v1/integrations/{id:str}", opt={"failures": ("integration.hosted",)})
async def delete_integration(id: Id, gateway: Backend, caller: Caller) -> None:
    """Delete an integration: its connection ends and its secrets are erased."""
    await gateway.ask(
        DELETE_INTEGRATION, DeleteIntegration(organization=caller.organization, actor=caller.actor, id=id)
    )


async def check_decoder(gateway: Gateway, caller: Principal, decoder: DecoderChoice) -> None:
    """Refused with the field that is wrong; of an expression, with the place in it. Expressions are read where they
    are confined: by telemetry."""
    settings = checked(decoder).settings
    if isinstance(settings, CustomSettings) and settings.expression is not None:
        await gateway.ask(CHECK_DECODER, CheckDecoder(organization=caller.organization, decoder=decoder))


def secrets_of(settings: BrokerSettingsWithSecrets) -> dict[str, SecretStr]:
    return {name: SecretStr(value) for name, value in settings.secret_fields().items()}


ROUTES = [
    list_integrations,
    list_presets,
    create_integration,
    get_integration,
    change_integration,
    delete_integration,
]
