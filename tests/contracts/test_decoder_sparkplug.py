from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.decoders import (
    DOUBTFUL,
    FUTURE,
    GAP,
    HISTORICAL,
    UNPARSABLE,
    Decoded,
    Message,
    Presence,
    Reading,
    Sample,
    State,
    Stateful,
    UnprocessableWithState,
    get,
)
from contracts.failures import Unprocessable
from tests.contracts.sparkplug_dump import (
    DEVICE_TIME_MS,
    bd_seq,
    f32,
    f64,
    int_property,
    metric,
    number,
    payload,
    sized,
    text_property,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEN = datetime(2026, 3, 1, 10, tzinfo=UTC)
sparkplug = get("sparkplug-b")
NODE_BIRTH = payload(
    bd_seq(7),
    metric("temperature", f64(13, 21.5), alias=1, type=10, properties=text_property("engUnit", "Cel")),
    metric("offset", number(10, 2**32 - 5), alias=2, type=3),
    seq=0,
)
DEVICE_BIRTH = payload(metric("speed", number(10, 3), alias=9, type=7), seq=1)


class Sender:
    """An edge node as the platform hears it: keeps the state between messages, through its stored form."""

    def __init__(self) -> None:
        self.state: State | None = None

    def send(self, type: str, data: bytes, device: str | None = None, **settings: Any) -> Decoded:
        topic = f"spBv1.0/plant/{type}/line4" + (f"/{device}" if device else "")
        message = Message(topic, data, NOW, state=self.state)
        try:
            decoded = sparkplug.decode(message, sparkplug.Settings(**settings))
        except UnprocessableWithState as failure:
            self.state = self._stored(failure.state)
            raise
        if decoded.state is not None:
            self.state = self._stored(decoded.state)
        return decoded

    def readings(self, type: str, data: bytes, device: str | None = None, **settings: Any) -> dict[str, Any]:
        decoded = self.send(type, data, device, **settings)
        return {reading.metric: reading.value for sample in decoded.samples for reading in sample.readings}

    def reason(self, type: str, data: bytes, device: str | None = None) -> str:
        with pytest.raises(Unprocessable) as raised:
            self.send(type, data, device)
        return raised.value.code

    @staticmethod
    def _stored(state: State) -> State:
        decoder: object = sparkplug
        assert isinstance(decoder, Stateful)
        return State({k: decoder.load(decoder.dump(v)) for k, v in state.parts.items()}, state.counter)


@pytest.fixture
def born() -> Sender:
    sender = Sender()
    sender.send("NBIRTH", NODE_BIRTH)
    sender.send("DBIRTH", DEVICE_BIRTH, "pump")
    return sender


def test_a_birth_is_read_and_says_that_its_sender_came() -> None:
    decoded = Sender().send("NBIRTH", NODE_BIRTH)
    assert decoded.samples == [
        Sample(
            "plant:line4",
            TEN,
            0,
            [Reading("bdSeq", 7), Reading("temperature", 21.5, "Cel"), Reading("offset", -5)],
        )
    ]
    assert decoded.presence == Presence("plant:line4", True, "status", TEN)


def test_data_is_read_by_the_names_types_and_units_of_the_birth(born: Sender) -> None:
    data = payload(metric(None, f64(13, 22.0), alias=1), metric(None, number(10, 2**32 - 1), alias=2), seq=2)
    (sample,) = born.send("NDATA", data).samples
    assert sample == Sample(
        "plant:line4", TEN, 0, [Reading("temperature", 22.0, "Cel"), Reading("offset", -1)]
    )
    (sample,) = born.send("DDATA", payload(metric(None, number(10, 4), alias=9), seq=3), "pump").samples
    assert sample == Sample("plant:line4:pump", TEN, 0, [Reading("speed", 4)])


def test_an_alias_that_no_birth_explains_is_a_dead_letter_that_says_what_to_do(born: Sender) -> None:
    for sender, alias in ((Sender(), 1), (born, 9)):  # 9 is the pump's
        with pytest.raises(Unprocessable) as raised:
            sender.send("NDATA", payload(metric(None, f64(13, 1.0), alias=alias)))
        assert (raised.value.code, raised.value.field) == ("decoder.alias_unknown", "metrics.0")
        assert "Node Control/Rebirth" in raised.value.detail
        assert "spBv1.0/plant/NCMD/line4" in raised.value.detail


def test_names_need_no_birth(born: Sender) -> None:
    assert Sender().readings("NDATA", payload(metric("t", f64(13, 1.5)))) == {"t": 1.5}
    assert born.readings("NDATA", payload(metric("new", number(14, 1)))) == {"new": True}


def test_a_rebirth_teaches_anew_and_devices_must_be_born_again(born: Sender) -> None:
    born.send("NBIRTH", payload(bd_seq(8), metric("pressure", f64(13, 1.0), alias=1, type=10), seq=0))
    assert born.readings("NDATA", payload(metric(None, f64(13, 2.0), alias=1), seq=1)) == {"pressure": 2.0}
    assert (
        born.reason("DDATA", payload(metric(None, number(10, 4), alias=9)), "pump") == "decoder.alias_unknown"
    )


def test_a_nodes_death_speaks_for_all_of_its_devices_at_the_time_it_was_heard(born: Sender) -> None:
    decoded = born.send("NDEATH", payload(bd_seq(7), at=DEVICE_TIME_MS))
    assert [(p.device_id, p.online, p.reason, p.time) for p in decoded.presences] == [
        ("plant:line4", False, "last-will", NOW),
        ("plant:line4:pump", False, "last-will", NOW),
    ]
    assert born.reason("NDATA", payload(metric(None, f64(13, 2.0), alias=1))) == "decoder.alias_unknown"


def test_the_death_of_an_earlier_session_is_none(born: Sender) -> None:
    assert born.send("NDEATH", payload(bd_seq(6))) == Decoded()
    assert born.readings("NDATA", payload(metric(None, f64(13, 2.0), alias=1), seq=2)) == {"temperature": 2.0}


def test_a_death_without_a_birth_is_one() -> None:
    (gone,) = Sender().send("NDEATH", payload(bd_seq(3))).presences
    assert (gone.device_id, gone.online) == ("plant:line4", False)


def test_a_devices_death_is_its_own(born: Sender) -> None:
    said = born.send("DDEATH", payload(seq=2), "pump").presence
    assert said == Presence("plant:line4:pump", False, "status", TEN)
    assert (
        born.reason("DDATA", payload(metric(None, number(10, 4), alias=9)), "pump") == "decoder.alias_unknown"
    )
    assert born.readings("NDATA", payload(metric(None, f64(13, 2.0), alias=1))) == {"temperature": 2.0}


def test_a_step_in_seq_is_flagged_once_and_255_is_followed_by_0(born: Sender) -> None:
    flags = []
    for seq in (2, 3, 3, 5, 6, 255, 0, 1):
        (sample,) = born.send("NDATA", payload(metric("t", f64(13, 1.0)), seq=seq)).samples
        flags.append(sample.flags)
    assert flags == [0, 0, 0, GAP, 0, GAP, 0, 0]


def test_history_and_quality_are_flagged_at_their_own_times(born: Sender) -> None:
    early = DEVICE_TIME_MS - 60_000
    data = payload(
        metric("t", f64(13, 1.0), number(5, 1), at=early),
        metric("u", f64(13, 2.0), properties=int_property("Quality", 500)),
        metric("v", f64(13, 3.0), properties=int_property("Quality", 192)),
        seq=2,
    )
    assert born.send("NDATA", data).samples == [
        Sample("plant:line4", TEN - timedelta(seconds=60), HISTORICAL, [Reading("t", 1.0)]),
        Sample("plant:line4", TEN, DOUBTFUL, [Reading("u", 2.0)]),
        Sample("plant:line4", TEN, 0, [Reading("v", 3.0)]),
    ]


@pytest.mark.parametrize(("at", "flag"), [(4_000_000_000_000, FUTURE), (2**64 - 1, UNPARSABLE)])
def test_a_time_that_cannot_be_is_replaced_and_flagged(at: int, flag: int) -> None:
    (sample,) = Sender().send("NDATA", payload(metric("t", f64(13, 1.0), at=at))).samples
    assert (sample.time, sample.flags) == (NOW, flag)
    (sample,) = Sender().send("NDATA", payload(metric("t", f64(13, 1.0)), at=at)).samples
    assert (sample.time, sample.flags) == (NOW, flag)


def test_a_birth_that_cannot_be_read_makes_its_aliases_unknown(born: Sender) -> None:
    assert (
        born.reason("DBIRTH", payload(metric(None, number(10, 1), alias=9)), "pump")
        == "payload.not_sparkplug"
    )
    assert (
        born.reason("DDATA", payload(metric(None, number(10, 1), alias=9)), "pump") == "decoder.alias_unknown"
    )
    assert born.readings("NDATA", payload(metric(None, f64(13, 2.0), alias=1))) == {"temperature": 2.0}
    assert born.reason("NBIRTH", b"\x0a") == "payload.not_sparkplug"
    assert born.reason("NDATA", payload(metric(None, f64(13, 2.0), alias=1))) == "decoder.alias_unknown"


def test_a_birth_whose_values_cannot_be_read_teaches_all_the_same() -> None:
    sender = Sender()
    birth = payload(metric("t", f64(13, float("nan")), alias=1, type=10), seq=0)
    assert sender.reason("NBIRTH", birth) == "value.not_finite"
    assert sender.readings("NDATA", payload(metric(None, f64(13, 2.0), alias=1))) == {"t": 2.0}


def test_data_that_is_a_dead_letter_counts_in_the_sequence_all_the_same(born: Sender) -> None:
    assert (
        born.reason("NDATA", payload(metric(None, f64(13, 1.0), alias=77), seq=2)) == "decoder.alias_unknown"
    )
    (sample,) = born.send("NDATA", payload(metric("t", f64(13, 1.0)), seq=3)).samples
    assert sample.flags == 0


def test_short_device_ids_are_the_last_of_the_topic() -> None:
    birth = Sender().send("DBIRTH", DEVICE_BIRTH, "pump", device_names="short")
    assert birth.samples[0].device_id == "pump"
    assert Sender().send("NBIRTH", NODE_BIRTH, device_names="short").samples[0].device_id == "line4"


@pytest.mark.parametrize(
    "topic", ["spBv1.0/plant/NCMD/line4", "spBv1.0/plant/DCMD/line4/d", "spBv1.0/STATE/scada"]
)
def test_commands_and_hosts_are_no_telemetry(topic: str) -> None:
    assert sparkplug.decode(Message(topic, b"\xff", NOW), sparkplug.Settings()) == Decoded()


@pytest.mark.parametrize(
    "topic",
    [
        "devices/s1/telemetry",
        "spBv1.0/plant/NDATA",
        "spBv1.0/plant/NDATA/line4/extra",
        "spBv1.0/plant/DDATA/line4",
        "spBv1.0/plant/XDATA/line4",
        "spBv1.0//NDATA/line4",
    ],
)
def test_a_topic_of_another_form_is_a_dead_letter(topic: str) -> None:
    with pytest.raises(Unprocessable) as raised:
        sparkplug.decode(Message(topic, payload(), NOW), sparkplug.Settings())
    assert raised.value.code == "topic.invalid"


def test_a_namespace_below_a_prefix_is_found() -> None:
    message = Message("site1/spBv1.0/plant/NDATA/line4", payload(metric("t", f32(12, 0.5))), NOW)
    (sample,) = sparkplug.decode(message, sparkplug.Settings()).samples
    assert sample.readings == [Reading("t", 0.5)]


def test_on_the_hosted_broker_and_by_http_ids_stand_below_the_topics_device_and_so_do_births() -> None:
    topic = "org_x/devices/gateway1/spBv1.0/plant/NDATA/line4"
    message = Message(topic, payload(metric("t", f32(12, 0.5))), NOW, "gateway1")
    (sample,) = sparkplug.decode(message, sparkplug.Settings()).samples
    assert sample.device_id == "gateway1:plant:line4"
    by_http = message._replace(hosted_device=None, http_device="gateway1")
    assert sparkplug.decode(by_http, sparkplug.Settings()).samples == [sample]
    decoder: object = sparkplug
    assert isinstance(decoder, Stateful)
    other = decoder.state_key(topic.replace("gateway1", "gateway2"))
    assert len({decoder.state_key(topic), other, decoder.state_key("spBv1.0/plant/NDATA/line4")}) == 3


def test_an_edge_node_is_bounded_in_devices_and_names() -> None:
    sender = Sender()
    for device in range(1000):
        sender.send("DBIRTH", payload(metric("s", number(10, 3), alias=1, type=7)), f"d{device}")
    assert sender.reason("DBIRTH", payload(metric("s", number(10, 3), type=7)), "more") == "payload.too_many"
    assert sender.readings("DDATA", payload(metric(None, number(10, 4), alias=1)), "d999") == {"s": 4}


def test_two_metrics_of_one_name_and_time_are_ambiguous() -> None:
    twice = payload(metric("t", f64(13, 1.0)), metric("t", f64(13, 2.0)))
    assert Sender().reason("NDATA", twice) == "metric.ambiguous"
    assert Sender().reason("NDATA", payload(metric("t\0", f64(13, 1.0)))) == "metric.invalid"
    assert Sender().reason("NDATA", payload(sized(1, b""))) == "payload.not_sparkplug"
