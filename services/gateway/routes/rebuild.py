"""The operator's calls about the read models: made anew from the logs, and how far each log is read."""

from __future__ import annotations

from litestar import get, post

from contracts.organizations import PLATFORM
from contracts.rebuild import (
    CANCEL_REBUILD,
    GET_LOGS,
    GET_REBUILD,
    START_REBUILD,
    CancelRebuild,
    GetLogs,
    GetRebuild,
    Logs,
    Rebuild,
    RebuildState,
    StartRebuild,
)
from services.gateway.parameters import Caller, CommandId
from services.gateway.state import Backend


@post("/v1/admin/rebuild", status_code=202, opt={"failures": ("rebuild.running",)})
async def start_rebuild(gateway: Backend, caller: Caller, command_id: CommandId) -> Rebuild:
    """Make all read models anew from the logs. What serves goes on serving, until it is exchanged at once."""
    command = StartRebuild(organization=PLATFORM, actor=caller.actor, command_id=command_id)
    return await gateway.ask(START_REBUILD, command)


@get("/v1/admin/rebuild")
async def get_rebuild(gateway: Backend, caller: Caller) -> RebuildState:
    """Show the last rebuild: how far it is, how fast, and whether it came to what served before."""
    return await gateway.ask(GET_REBUILD, GetRebuild(organization=PLATFORM, actor=caller.actor))


@post("/v1/admin/rebuild/cancel", status_code=200)
async def cancel_rebuild(gateway: Backend, caller: Caller) -> Rebuild:
    """Cancel the rebuild that is under way: what serves stays as it is."""
    return await gateway.ask(CANCEL_REBUILD, CancelRebuild(organization=PLATFORM, actor=caller.actor))


@get("/v1/admin/logs")
async def get_logs(gateway: Backend, caller: Caller) -> Logs:
    """Show where each projection stands in its log, and when a log was made anew or restored."""
    return await gateway.ask(GET_LOGS, GetLogs(organization=PLATFORM, actor=caller.actor))


ROUTES = [start_rebuild, get_rebuild, cancel_rebuild, get_logs]
