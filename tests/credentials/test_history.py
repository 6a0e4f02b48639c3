"""Who could publish where at a time, and who changed it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.credentials import (
    ChangeAcl,
    GetHistory,
    IssueCredential,
    RenameCredential,
    RevokeCredential,
    RotateCredential,
)
from services.credentials.handlers import Registry
from services.credentials.history import Histories
from tests.credentials.parts import Replica, refused


async def test_it_says_when_what_and_who_and_how_it_was_at_a_time(replica: Replica) -> None:
    organization = (await replica.organization()).id
    histories = Histories(Registry(replica.log, replica.directory))
    before = datetime.now(UTC) - timedelta(seconds=1)
    issued = await replica.handlers.issue_credential(
        IssueCredential(organization=organization, actor="key:a", device_id="d1")
    )
    who: dict[str, Any] = {"organization": organization, "id": issued.id}
    await asyncio.sleep(0.01)
    after_issue = datetime.now(UTC)
    await asyncio.sleep(0.01)
    await replica.lifecycle.change_acl(ChangeAcl(actor="key:b", publish=("devices/d2/#",), **who))
    await replica.lifecycle.rename(RenameCredential(actor="key:c", name="pump", **who))
    new = await replica.lifecycle.rotate(RotateCredential(actor="key:d", grace_seconds=60, **who))
    after_rotation = datetime.now(UTC)
    await asyncio.sleep(0.01)
    await replica.handlers.revoke_credential(RevokeCredential(actor="key:e", reason="lost", **who))

    whole = await histories.credential(GetHistory(actor="k", **who))
    assert [(entry.type, entry.actor) for entry in whole.items] == [
        ("credential.issued", "key:a"),
        ("credential.acl-changed", "key:b"),
        ("credential.renamed", "key:c"),
        ("credential.rotated", "key:d"),
        ("credential.revoked", "key:e"),
    ]
    assert "verifier" not in whole.model_dump_json()
    assert "sha" not in whole.model_dump_json()

    then = await histories.credential(GetHistory(actor="k", at=after_issue, **who))
    assert then.as_of is not None
    assert then.as_of.publish == (f"{organization}/devices/d1/#",)
    assert (then.as_of.state, then.as_of.hints) == ("active", (issued.hint,))
    assert len(then.items) == 1
    then = await histories.credential(GetHistory(actor="k", at=after_rotation, **who))
    assert then.as_of is not None
    assert then.as_of.publish == (f"{organization}/devices/d2/#",)
    assert (then.as_of.name, then.as_of.hints) == ("pump", (new.hint, issued.hint))
    now = await histories.credential(GetHistory(actor="k", at=datetime.now(UTC), **who))
    assert now.as_of is not None
    assert (now.as_of.state, now.as_of.hints) == ("revoked", ())
    assert (await histories.credential(GetHistory(actor="k", at=before, **who))).as_of is None

    first = await histories.credential(GetHistory(actor="k", limit=2, **who))
    rest = await histories.credential(GetHistory(actor="k", cursor=first.next_cursor, **who))
    assert [*first.items, *rest.items] == whole.items
    assert rest.next_cursor is None


async def test_anothers_is_not_there(replica: Replica) -> None:
    organization, other = (await replica.organization()).id, (await replica.organization("Other")).id
    issued = await replica.handlers.issue_credential(IssueCredential(organization=organization, actor="k"))
    histories = Histories(Registry(replica.log, replica.directory))
    with refused("not_found"):
        await histories.credential(GetHistory(organization=other, actor="k", id=issued.id))
