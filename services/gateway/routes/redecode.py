"""History decoded again with another decoder: looked at first, then done, while everything goes on."""

from __future__ import annotations

import asyncio

from litestar import Response, get, post
from litestar.params import JSONBody
from pydantic import AwareDatetime, Field

from contracts.calls import Page
from contracts.failures import Refused
from contracts.integrations import GET_INTEGRATION, HOSTED, DecoderChoice, GetIntegration
from contracts.organizations import Principal
from contracts.redecode import (
    CANCEL_REDECODE,
    GET_REDECODE,
    LIST_REDECODES,
    ORDER_REDECODE,
    PAUSE_REDECODE,
    PREVIEW_REDECODE,
    RESUME_REDECODE,
    ListRedecodes,
    NamedRedecode,
    OrderRedecode,
    PreviewRedecode,
    Redecode,
    RedecodePreview,
)
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Cursor, Id, Limit
from services.gateway.problems import FieldError, Invalid
from services.gateway.routes.integrations import check_decoder
from services.gateway.state import Backend, Gateway

SHOWN_S = 3.0  # an order is in the log when it is answered; its job shows within milliseconds
LOOK_S = 0.02


class NewRedecode(Body):
    """Messages that the log stored from `from` on and before `to` (now, where that is left out).

    What came by HTTP goes with the hosted broker. `dry_run` changes nothing, and says what would change.
    """

    integration_id: str = HOSTED
    from_: AwareDatetime = Field(alias="from")
    to: AwareDatetime | None = None
    decoder: DecoderChoice
    dry_run: bool = False


@post(
    "/v1/redecode",
    status_code=202,
    opt={
        "answers": {200: (RedecodePreview,), 202: (Redecode,)},
        "failures": ("not_found", "decoder.unknown", "decoder.settings", "redecode.running"),
    },
)
async def start_redecode(
    data: JSONBody[NewRedecode], gateway: Backend, caller: Caller, command_id: CommandId
) -> Response[RedecodePreview | Redecode]:
    """Decode history again: 202 with the job, or 200 with what it would change where `dry_run` is true.

    The readings of exactly those messages are replaced, batch by batch, each at once. One job at a time.
    """
    if data.to is not None and data.from_ >= data.to:
        raise Invalid([FieldError(field="from", detail="it must lie before `to`")])
    await check_decoder(gateway, caller, data.decoder)
    organization, actor = caller.organization, caller.actor
    await gateway.ask(
        GET_INTEGRATION, GetIntegration(organization=organization, actor=actor, id=data.integration_id)
    )
    if data.dry_run:
        looked = PreviewRedecode(
            organization=organization,
            actor=actor,
            integration=data.integration_id,
            start=data.from_,
            end=data.to,
            decoder=data.decoder,
        )
        preview = await gateway.ask(PREVIEW_REDECODE, looked)
        return Response(preview, status_code=200)
    ordered = OrderRedecode(
        organization=organization,
        actor=actor,
        command_id=command_id,
        integration=data.integration_id,
        start=data.from_,
        end=data.to,
        decoder=data.decoder,
    )
    made = await gateway.ask(ORDER_REDECODE, ordered)
    return Response(await _shown(gateway, caller, made.id), status_code=202)


async def _shown(gateway: Gateway, caller: Principal, id: str) -> Redecode:
    """Raises Refused("not_found") where the job does not show in time: it is ordered all the same."""
    named = NamedRedecode(organization=caller.organization, actor=caller.actor, id=id)
    patience = asyncio.get_running_loop().time() + SHOWN_S
    while True:
        try:
            return await gateway.ask(GET_REDECODE, named)
        except Refused:
            if asyncio.get_running_loop().time() > patience:
                raise
            await asyncio.sleep(LOOK_S)


@get("/v1/redecode")
async def list_redecodes(
    gateway: Backend, caller: Caller, limit: Limit = 100, cursor: Cursor = None
) -> Page[Redecode]:
    """List jobs, newest first."""
    query = ListRedecodes(organization=caller.organization, limit=limit, cursor=cursor)
    return await gateway.ask(LIST_REDECODES, query)


@get("/v1/redecode/{id:str}")
async def get_redecode(id: Id, gateway: Backend, caller: Caller) -> Redecode:
    """Get a job: how far it is, and what it changed so far."""
    return await gateway.ask(GET_REDECODE, _named(caller, id))


@post("/v1/redecode/{id:str}/pause", status_code=200, opt={"failures": ("redecode.ended", "conflict")})
async def pause_redecode(id: Id, gateway: Backend, caller: Caller) -> Redecode:
    """Pause a job behind its current batch."""
    return await gateway.ask(PAUSE_REDECODE, _named(caller, id))


@post("/v1/redecode/{id:str}/resume", status_code=200, opt={"failures": ("redecode.ended", "conflict")})
async def resume_redecode(id: Id, gateway: Backend, caller: Caller) -> Redecode:
    """Go on with a paused job."""
    return await gateway.ask(RESUME_REDECODE, _named(caller, id))


@post("/v1/redecode/{id:str}/cancel", status_code=200, opt={"failures": ("redecode.ended", "conflict")})
async def cancel_redecode(id: Id, gateway: Backend, caller: Caller) -> Redecode:
    """End a job early. What it came to stays decoded anew; to take it back, decode it again as before."""
    return await gateway.ask(CANCEL_REDECODE, _named(caller, id))


def _named(caller: Principal, id: str) -> NamedRedecode:
    return NamedRedecode(organization=caller.organization, actor=caller.actor, id=id)


ROUTES = [
    start_redecode,
    list_redecodes,
    get_redecode,
    pause_redecode,
    resume_redecode,
    cancel_redecode,
]
