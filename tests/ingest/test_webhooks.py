"""Webhooks: what is sent, signed with what, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from contracts.failures import Refused
from deploy.local.nats import NatsServer
from tests.conftest import RunService
from tests.ingest.conftest import World, open_world, quiet
from tests.ingest.hooks import Hooks, hooks_of, verified
from tests.support.eventually import eventually
from tests.support.receiver import OK, Call, Receiver, answer, receiving
from tests.support.service import Service

FAST = {
    "WEBHOOK_SCHEDULE": "0.2,0.3,0.4",
    "WEBHOOK_PROBE_S": "3600",
    "WEBHOOK_TIMEOUT_S": "2",
    "WEBHOOK_CALLS_PER_S": "200",
}


@pytest.fixture(scope="module")
def fast_ingest(own_nats: NatsServer, run_service: RunService) -> Service:
    """One ingest service that tries again soon."""
    return run_service("ingest", own_nats, **FAST)


@pytest.fixture
async def hooks(fast_ingest: Service, world: World) -> AsyncIterator[Hooks]:
    async with hooks_of(world) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


def payloads(receiver: Receiver) -> list[str]:
    return [payload for call in receiver.calls for payload in call.payloads]


async def test_a_message_is_sent_signed(hooks: Hooks, receiver: Receiver) -> None:
    id = await hooks.create(receiver.url, headers={"Authorization": "Bearer hush"})
    sequence = await hooks.message('{"t": 21.5}')
    await eventually(lambda: receiver.calls)
    [call] = receiver.calls
    assert verified(hooks.secrets[id][0], call)
    assert not verified("whsec_" + "A" * 43 + "=", call)
    assert not verified(hooks.secrets[id][0], call, now=time.time() + 3600)
    assert call.headers["authorization"] == "Bearer hush"
    assert call.headers["content-type"] == "application/json"
    told = call.json["data"]["messages"][0]
    assert call.json["type"] == "message"
    assert (told["sequence"], told["device_id"], told["payload"]) == (sequence, "d1", '{"t": 21.5}')
    assert told["topic"] == f"{hooks.organization}/devices/d1/telemetry"


async def test_what_was_stored_before_it_was_made_is_not_sent(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.message("before")
    await asyncio.sleep(0.05)  # times of the registry and of the log are compared
    await hooks.create(receiver.url)
    await hooks.message("after")
    await eventually(lambda: receiver.calls)
    assert payloads(receiver) == ["after"]


async def test_events_that_were_asked_for_come_and_others_do_not(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.create(receiver.url, "link.*", "alert.opened", "device.refused")
    await hooks.activity("credential.issued")
    await hooks.activity("alert.opened")  # of activity: alerts come from their own log
    event = await hooks.activity("link.down", subject="integration:int_1", reason="broker.closed")
    alert = await hooks.alert(device_id="d7", evidence={"value": 99})
    await hooks.activity("device.refused", device_id="d8")
    await eventually(lambda: len(receiver.calls) == 3)
    said = {call.json["type"]: call for call in receiver.calls}
    assert set(said) == {"link.down", "alert.opened", "device.refused"}
    down = said["link.down"]
    assert down.headers["webhook-id"] == f"evt_{event}"
    assert (down.json["data"]["id"], down.json["data"]["reason"]) == (event, "broker.closed")
    opened = said["alert.opened"].json["data"]
    assert (opened["alert_id"], opened["device_id"], opened["evidence"]) == (alert, "d7", {"value": 99})


async def test_what_fails_is_tried_again_as_scheduled_then_given_up_and_can_be_retried(
    hooks: Hooks, receiver: Receiver
) -> None:
    receiver.always(answer(500))
    id = await hooks.create(receiver.url)
    await hooks.message("m")

    async def dead() -> bool:
        return [each["state"] for each in await hooks.deliveries(id)] == ["dead"]

    await eventually(dead)
    assert len(receiver.calls) == 4
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1
    assert all(verified(hooks.secrets[id][0], call) for call in receiver.calls)
    assert len({call.body for call in receiver.calls}) == 1
    gaps = [b.at - a.at for a, b in zip(receiver.calls, receiver.calls[1:], strict=False)]
    assert all(gap >= least for gap, least in zip(gaps, (0.2, 0.3, 0.4), strict=True))
    [told] = await hooks.deliveries(id, state="dead")
    assert (told["attempts"], told["status"], told["code"]) == (4, 500, "webhook.refused")
    kinds = await eventually(lambda: _kinds(hooks, "webhook.delivery-dead"))
    assert "webhook.failing" in kinds
    receiver.always(OK)
    assert await hooks.retry(id, told["id"]) == 1

    async def delivered() -> bool:
        return [each["state"] for each in await hooks.deliveries(id)] == ["delivered"]

    await eventually(delivered)
    with pytest.raises(Refused):
        await hooks.retry(id, told["id"])


async def _kinds(hooks: Hooks, wanted: str) -> list[str]:
    kinds = await hooks.world.kinds()
    return kinds if wanted in kinds else []


async def test_all_that_was_given_up_is_retried_at_once(hooks: Hooks, receiver: Receiver) -> None:
    receiver.always(answer(503))
    id = await hooks.create(receiver.url, "link.*")
    for _ in range(5):
        await hooks.activity("link.up")

    async def dead() -> bool:
        return len(await hooks.deliveries(id, state="dead")) == 5

    await eventually(dead)
    receiver.always(OK)
    receiver.calls.clear()
    assert await hooks.retry(id) == 5
    await eventually(lambda: len(receiver.calls) == 5)

    async def state() -> bool:
        found = await hooks.state(id)
        return bool(found["state"] == "healthy" and found["delivered"] == 5 and found["dead"] == 5)

    await eventually(state)


async def test_410_ends_it_until_it_is_resumed_and_then_nothing_is_missing(
    hooks: Hooks, receiver: Receiver
) -> None:
    receiver.always(answer(410))
    id = await hooks.create(receiver.url)
    await hooks.message("first")
    await eventually(lambda: receiver.calls)

    async def paused() -> bool:
        events = [
            e.data for e in await hooks.world._all("REGISTRY", f"registry.{hooks.organization}.webhook.*")
        ]
        return any(b'"gone"' in data for data in events)

    await eventually(paused)
    await quiet(0.5)
    receiver.calls.clear()
    receiver.always(OK)
    await hooks.message("while paused")
    with pytest.raises(Refused) as refused:
        await hooks.retry(id)
    assert refused.value.code == "webhook.paused"
    await quiet(1.0)
    assert not receiver.calls
    await hooks.resume(id)
    await eventually(lambda: len(payloads(receiver)) == 2)
    assert set(payloads(receiver)) == {"first", "while paused"}


async def test_the_backlog_can_be_skipped(hooks: Hooks, receiver: Receiver) -> None:
    id = await hooks.create(receiver.url)
    await hooks.message("one")
    await eventually(lambda: receiver.calls)
    await hooks.pause(id)
    await quiet(1.0)
    await hooks.message("skipped")
    await asyncio.sleep(0.05)
    await hooks.resume(id, skip_backlog=True)
    await hooks.message("two")
    await eventually(lambda: len(receiver.calls) == 2)
    assert payloads(receiver) == ["one", "two"]


async def test_another_address_gets_what_waits(hooks: Hooks, receiver: Receiver) -> None:
    id = await hooks.create("http://127.0.0.1:1/", headers=None)
    await hooks.message("m")

    async def waits() -> bool:
        found = await hooks.deliveries(id, state="waiting")
        return bool(found and found[0]["code"] == "webhook.unreachable")

    await eventually(waits)
    await hooks.change(id, receiver.url)
    await eventually(lambda: payloads(receiver) == ["m"])


async def test_for_a_grace_both_secrets_sign_and_then_the_new_one_alone(
    hooks: Hooks, receiver: Receiver
) -> None:
    id = await hooks.create(receiver.url)
    await hooks.rotate(id, grace_s=600)
    await hooks.message("both")
    await eventually(lambda: receiver.calls)
    new, old = hooks.secrets[id]
    assert verified(new, receiver.calls[0])
    assert verified(old, receiver.calls[0])
    await hooks.rotate(id, grace_s=0)
    await quiet(1.0)
    await hooks.message("new")
    await eventually(lambda: len(receiver.calls) == 2)
    newest = hooks.secrets[id][0]
    assert verified(newest, receiver.calls[1])
    assert not verified(new, receiver.calls[1])


async def test_of_one_device_in_order_and_the_others_go_on(hooks: Hooks, receiver: Receiver) -> None:
    failing = True

    def judge(call: Call) -> bytes:
        return answer(500) if failing and call.messages[0]["device_id"] == "bad" else OK

    receiver.answers = judge
    await hooks.create(receiver.url, ordered=True)
    for number in range(6):
        for device in ("bad", "good"):
            await hooks.message(f"{device} {number}", device)
        await asyncio.sleep(0.03)

    def got(device: str) -> list[str]:
        """In the order in which each came first: a call whose answer is late is made again."""
        calls = [call for call in receiver.calls if call.messages[0]["device_id"] == device]
        return list(dict.fromkeys(payload for call in calls for payload in call.payloads))

    await eventually(lambda: got("good") == [f"good {n}" for n in range(6)])
    assert set(got("bad")) == {"bad 0"}
    failing = False
    receiver.calls.clear()
    await eventually(lambda: got("bad") == [f"bad {n}" for n in range(6)])
    assert all(len({m["device_id"] for m in call.messages}) == 1 for call in receiver.calls)


async def test_many_messages_go_in_few_calls_and_none_is_missing(hooks: Hooks, receiver: Receiver) -> None:
    receiver.delay_s = 0.05
    id = await hooks.create(receiver.url)
    await hooks.message("first")
    await eventually(lambda: receiver.calls)
    await asyncio.gather(*(hooks.message(str(n), f"d{n % 7}") for n in range(1500)))
    await eventually(lambda: len(set(payloads(receiver))) == 1501)
    assert len(payloads(receiver)) == 1501
    assert max(len(call.messages) for call in receiver.calls) <= 100
    assert len(receiver.calls) < 200
    assert receiver.most_at_once <= 8

    async def caught_up() -> bool:
        state = await hooks.state(id)
        return bool(state["behind"] == {"MESSAGES": 0} and state["delivered"] == len(receiver.calls))

    await eventually(caught_up)


async def test_a_slow_receiver_holds_up_no_other(hooks: Hooks, receiver: Receiver) -> None:
    async with receiving(delay_s=30) as slow:
        id = await hooks.create(slow.url)
        await hooks.create(receiver.url)
        for number in range(20):
            await hooks.message(str(number))
        await eventually(lambda: len(payloads(receiver)) == 20)

        async def timed_out() -> bool:
            found = await hooks.deliveries(id)
            return any(each["code"] == "webhook.timeout" for each in found)

        await eventually(timed_out)


async def test_nothing_of_another_organization_is_sent(
    hooks: Hooks, receiver: Receiver, own_nats: NatsServer
) -> None:
    async with open_world(own_nats) as other_world, hooks_of(other_world) as other, receiving() as others:
        await hooks.create(receiver.url, "message", "*")
        theirs = await other.create(others.url, "message", "*")
        await other.message("theirs")
        await other.activity("link.down")
        await other.alert()
        await hooks.message("ours")
        await eventually(lambda: len(others.calls) == 3)
        await eventually(lambda: receiver.calls)
        assert payloads(receiver) == ["ours"]
        assert await hooks.deliveries(theirs) == []
        assert (await hooks.state(theirs))["delivered"] == 0
        told = await hooks.test(theirs)
        assert told["failure"]["code"] == "not_found"


async def test_a_test_tells_what_was_sent_and_what_came_back(hooks: Hooks, receiver: Receiver) -> None:
    receiver.always(answer(418, b"short and stout"))
    id = await hooks.create(receiver.url, headers={"X-Key": "hush"})
    told = (await hooks.test(id))["ok"]
    assert (told["ok"], told["status"], told["answer"]) == (False, 418, "short and stout")
    assert (told["step"], told["code"]) == ("http", "webhook.refused")
    [call] = receiver.calls
    assert verified(hooks.secrets[id][0], call)
    assert (call.headers["x-key"], call.json["type"]) == ("hush", "webhook.test")
    assert json.loads(told["body"]) == call.json
    assert told["headers"]["webhook-signature"] == call.headers["webhook-signature"]
    assert "hush" not in json.dumps(told)
    nobody = await hooks.create("http://127.0.0.1:1/")
    failed = (await hooks.test(nobody))["ok"]
    assert (failed["ok"], failed["step"], failed["code"]) == (False, "tcp", "webhook.unreachable")
    assert await hooks.deliveries(id) == []


async def test_a_receiver_that_asks_for_patience_gets_it(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answers = lambda _: answer(429, retry_after="1") if len(receiver.calls) == 1 else OK
    await hooks.create(receiver.url, "link.*")
    await hooks.activity("link.up")
    await eventually(lambda: receiver.calls)
    await hooks.activity("link.down")
    await eventually(lambda: len(receiver.calls) == 3)
    assert receiver.calls[1].at - receiver.calls[0].at >= 1.0


async def test_one_that_is_deleted_gets_nothing_more(hooks: Hooks, receiver: Receiver) -> None:
    id = await hooks.create(receiver.url)
    await hooks.message("one")
    await eventually(lambda: receiver.calls)
    await hooks.delete(id)
    await quiet(1.5)
    await hooks.message("two")
    await quiet(1.0)
    assert payloads(receiver) == ["one"]
