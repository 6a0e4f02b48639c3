"""Calls between services on the real server: answers, failures with their family, defects, silence."""

import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from pydantic import SecretStr

from contracts.calls import Call, CallWithSteps, Model
from contracts.failures import Refused, Unavailable, Unprocessable
from runtime import observe, rpc
from runtime.bus import Bus
from runtime.settings import BusSettings, load
from tests.support.eventually import eventually


class Ask(Model):
    number: int
    secret: SecretStr = SecretStr("")


class Answer(Model):
    number: int
    secret: SecretStr = SecretStr("")


def doubling() -> Call[Ask, Answer]:
    """A subject of its own: the server may still have the last test's subscription for a moment."""
    return Call(f"query.credentials.double-{uuid.uuid4().hex}", Ask, Answer)


async def test_an_answer_comes_back_with_its_secrets(gateway_bus: Bus, credentials_bus: Bus) -> None:
    async def double(ask: Ask) -> Answer:
        return Answer(number=ask.number * 2, secret=ask.secret)

    call = doubling()
    rpc.serve(credentials_bus.broker, call, double, queue="credentials")
    await credentials_bus.start()
    answer = await rpc.call(gateway_bus, call, Ask(number=21, secret=SecretStr("s")))
    assert (answer.number, answer.secret.get_secret_value()) == (42, "s")


@pytest.mark.parametrize(
    "failure",
    [
        Refused("name.taken", "choose another", field="name"),
        Unprocessable("payload.not_json", "line 1"),
        Unavailable("store.unavailable", "try again"),
    ],
)
async def test_a_failure_crosses_with_family_code_and_field(
    gateway_bus: Bus, credentials_bus: Bus, failure: Refused
) -> None:
    async def refuse(_: Ask) -> Answer:
        raise failure

    call = doubling()
    rpc.serve(credentials_bus.broker, call, refuse, queue="credentials")
    await credentials_bus.start()
    with pytest.raises(type(failure)) as caught:
        await rpc.call(gateway_bus, call, Ask(number=1))
    assert caught.value.as_dict() == failure.as_dict()


async def test_a_defect_is_answered_without_its_details(
    gateway_bus: Bus, credentials_bus: Bus, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(_: Ask) -> Answer:
        raise ZeroDivisionError("the password is hunter2")

    call = doubling()
    rpc.serve(credentials_bus.broker, call, broken, queue="credentials")
    await credentials_bus.start()
    with pytest.raises(Unavailable) as caught:
        await rpc.call(gateway_bus, call, Ask(number=1))
    assert caught.value.code == "internal"
    assert "hunter2" not in str(caught.value)


async def test_nobody_there_is_unavailable_at_once(gateway_bus: Bus) -> None:
    with pytest.raises(Unavailable, match=r"service\.unavailable"):
        await rpc.call(gateway_bus, Call("query.telemetry.nobody", Ask, Answer, timeout_s=30), Ask(number=1))


COUNT = CallWithSteps("command.ingest.count", Ask, Answer, step=Ask)


async def count(ask: Ask, tell: Callable[[Ask], Awaitable[None]]) -> Answer:
    for number in range(ask.number):
        await tell(Ask(number=number))
    if ask.number > MANY:
        raise Refused("limit.reached", "enough")
    return Answer(number=ask.number)


MANY = 200  # more than one connection test has


async def test_steps_come_one_by_one_before_the_answer(gateway_bus: Bus, ingest_bus: Bus) -> None:
    rpc.serve_with_steps(ingest_bus.broker, COUNT, count, queue="ingest")
    await ingest_bus.start()
    told: list[int] = []

    async def note(step: Ask) -> None:
        told.append(step.number)

    answer = await rpc.follow(gateway_bus, COUNT, Ask(number=MANY), note)
    assert (answer.number, told) == (MANY, list(range(MANY)))


async def test_a_caller_that_does_not_follow_gets_the_answer_alone(gateway_bus: Bus, ingest_bus: Bus) -> None:
    rpc.serve_with_steps(ingest_bus.broker, COUNT, count, queue="ingest")
    await ingest_bus.start()
    assert (await rpc.call(gateway_bus, COUNT, Ask(number=3))).number == 3


async def test_a_failure_after_some_steps_is_the_failure(gateway_bus: Bus, ingest_bus: Bus) -> None:
    rpc.serve_with_steps(ingest_bus.broker, COUNT, count, queue="ingest")
    await ingest_bus.start()
    told: list[int] = []

    async def note(step: Ask) -> None:
        told.append(step.number)

    with pytest.raises(Refused, match=r"limit\.reached"):
        await rpc.follow(gateway_bus, COUNT, Ask(number=MANY + 1), note)
    assert len(told) == MANY + 1


async def test_nobody_to_follow_is_unavailable_at_once(gateway_bus: Bus) -> None:
    nobody = CallWithSteps("query.telemetry.nobody", Ask, Answer, timeout_s=30, step=Ask)

    async def never(_: Ask) -> None:
        raise AssertionError

    with pytest.raises(Unavailable, match=r"service\.unavailable"):
        await rpc.follow(gateway_bus, nobody, Ask(number=1), never)


async def test_a_service_answers_an_inbox_as_often_as_it_may_and_reaches_no_other(
    gateway_bus: Bus, ingest_bus: Bus, credentials_bus: Bus
) -> None:
    """The reply of a request opens that inbox alone, once for a service whose calls have no steps."""
    heard: list[bytes] = []

    async def listen(message: Msg) -> None:
        heard.append(message.data)

    async def chatter(message: Msg) -> None:
        for number in range(3):
            await message.respond(b"%d" % number)

    await gateway_bus.client.subscribe("_INBOX.gateway.heard.*", cb=listen)
    await credentials_bus.client.subscribe("command.credentials.chatter", cb=chatter)
    await ingest_bus.client.subscribe("command.ingest.chatter", cb=chatter)
    for bus in (credentials_bus, ingest_bus):
        await bus.client.publish("_INBOX.gateway.heard.forged", b"forged")
        await bus.client.flush()
    for service in ("credentials", "ingest"):
        await gateway_bus.client.publish(
            f"command.{service}.chatter", b"", reply=f"_INBOX.gateway.heard.{service}"
        )
        await gateway_bus.client.flush()

    async def all_came() -> bool:
        return len(heard) >= 4

    await eventually(all_came)
    for bus in (credentials_bus, ingest_bus, gateway_bus):
        await bus.client.flush()
    assert sorted(heard) == [b"0", b"0", b"1", b"2"]


async def test_a_trace_goes_along_with_a_call(gateway_bus: Bus, credentials_bus: Bus) -> None:
    seen: list[str | None] = []

    async def look(ask: Ask) -> Answer:
        seen.append(observe.traceparent())
        return Answer(number=ask.number)

    observe.set_up("test")
    call = doubling()
    rpc.serve(credentials_bus.broker, call, look, queue="credentials")
    await credentials_bus.start()
    with observe.span("caller") as current:
        await rpc.call(gateway_bus, call, Ask(number=1))
    assert seen[0] is not None
    assert seen[0].split("-")[1] == format(current.get_span_context().trace_id, "032x")


def test_settings_come_from_files_and_problems_name_the_variable_not_the_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "seed").write_text("SUABC\n")
    monkeypatch.setenv("NATS_SEED_FILE", str(tmp_path / "seed"))
    assert load(BusSettings).nats_seed.get_secret_value() == "SUABC"
    monkeypatch.setattr("sys.argv", ["service", "--check-config"])
    with pytest.raises(SystemExit) as ended:
        load(BusSettings)
    assert ended.value.code == 0
    monkeypatch.delenv("NATS_SEED_FILE")
    with pytest.raises(SystemExit) as ended:
        load(BusSettings)
    assert ended.value.code == 2
    assert "NATS_SEED" in capsys.readouterr().err
