"""How long readings are kept, and what they take."""

from __future__ import annotations

from litestar import get, put
from litestar.params import JSONBody

from contracts.retention import (
    CHANGE_RETENTION,
    GET_RETENTION,
    GET_STORAGE,
    ChangeRetention,
    Days,
    GetRetention,
    GetStorage,
    Retention,
    RetentionView,
    StorageView,
)
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Texts, texts
from services.gateway.state import Backend


class RetentionToSet(Body):
    """All of it; `hours_days` null: for ever."""

    raw_days: Days
    minutes_days: Days
    hours_days: Days | None


@get("/v1/retention")
async def get_retention(gateway: Backend, caller: Caller) -> RetentionView:
    """Get how long readings and their roll-ups are kept.

    `raw_days` of readings and messages, `minutes_days` of roll-ups by the minute, `hours_days` of those by hour and day
    (null: for ever), each by the readings' own times. `raw_since`…: what is older is not seen any more; it does not
    come back when it is to be kept longer again. `deletion` says how far what is past it is gone from the disks, too:
    `rows_deleted` one by one (whole days that nobody keeps longer go uncounted), `rows_left` up to 100,000."""
    return await gateway.ask(GET_RETENTION, GetRetention(organization=caller.organization))


@put("/v1/retention", opt={"failures": ("limit.reached", "organization.deleted")})
async def change_retention(
    data: JSONBody[RetentionToSet], gateway: Backend, caller: Caller, command_id: CommandId
) -> Retention:
    """Set how long readings and their roll-ups are kept.

    What is past it is not seen any more within a second, and is deleted soon after: this cannot be taken back.
    `raw_days` is at most `minutes_days`, that at most `hours_days`. Refused with limit.reached above the platform's
    maximum, which stands beside as `allowed`."""
    command = ChangeRetention(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        retention=Retention(**data.model_dump()),
    )
    return await gateway.ask(CHANGE_RETENTION, command)


@get("/v1/storage", opt={"failures": ("not_found",)})
async def get_storage(gateway: Backend, caller: Caller, device_id: Texts = None) -> StorageView:
    """Get how many rows and bytes the organization's readings take, by what they are kept as.

    With `device_id` (several: each of them) these devices' as well. Estimated from the database's statistics: within
    some percent for an organization or device that has much of all, an average for one that has little."""
    query = GetStorage(organization=caller.organization, **texts(device_id=device_id))
    return await gateway.ask(GET_STORAGE, query)


ROUTES = [get_retention, change_retention, get_storage]
