"""What our edge node says and does, without a broker."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import GOOD, Quality, Status, Value, bad, uncertain
from lineshaft.network.drivers.mqtt.address import Metric as Address
from lineshaft.network.drivers.mqtt.connection import Message
from lineshaft.network.drivers.mqtt.sparkplug import payload as codec
from lineshaft.network.drivers.mqtt.sparkplug.edge import Envelopes
from lineshaft.network.drivers.mqtt.sparkplug.host import Host, rebirth
from lineshaft.network.drivers.mqtt.sparkplug.payload import DataType, Metric, Payload
from lineshaft.network.northbound.mirror import Said, Served
from lineshaft.network.northbound.settings import Sparkplug
from lineshaft.network.northbound.sparkplug.node import AT_ONCE, EdgeNode, shapes_of
from lineshaft.network.northbound.sparkplug.orders import Orders, Reader
from lineshaft.network.northbound.sparkplug.primary import PrimaryHost
from lineshaft.network.northbound.sparkplug.store import Place, Waiting, open_store

SERVED = [
    Served(Point(name="acme/a/press/oil/level", address="1", unit="mm"), "press"),
    Served(Point(name="acme/a/press/count", address="2", type=Kind.INT), "press"),
    Served(
        Point(name="acme/a/pump/on", address="3", type=Kind.BOOL, writable=True), "pump"
    ),
]
NOW_US = 1_700_000_000_000_000


def node() -> EdgeNode:
    made = EdgeNode(SERVED, "g", "e", lambda: NOW_US)
    made.envelopes.will(7)
    return made


def read(messages: list[Message]) -> list[tuple[str, Payload]]:
    return [(m.topic, codec.decode(m.payload)) for m in messages]


def metrics(messages: list[Message]) -> list[Metric]:
    return [metric for _, payload in read(messages) for metric in payload.metrics]


def test_the_will_and_the_birth_have_the_same_number_and_the_will_is_confirmed() -> (
    None
):
    envelopes = Envelopes("g", "e", lambda: 5)
    will = envelopes.will(260)
    assert (will.topic, will.qos, will.retain) == ("spBv1.0/g/NDEATH/e", 1, False)
    death, birth = codec.decode(will.payload), envelopes.birth()
    assert not death.HasField("seq")
    assert birth.seq == 0
    assert death.metrics[0].long_value == birth.metrics[0].long_value == 4
    assert envelopes.death() == will


def test_births_tell_the_node_first_then_each_device_that_is_alive() -> None:
    born = read(node().births(["press"]))
    assert [topic for topic, _ in born] == [
        "spBv1.0/g/NBIRTH/e",
        "spBv1.0/g/DBIRTH/e/press",
    ]
    assert [payload.seq for _, payload in born] == [0, 1]
    [_, control] = born[0][1].metrics
    assert (control.name, control.boolean_value) == ("Node Control/Rebirth", False)
    assert all(not m.retain and not m.qos for m in node().births(["pump"]))


def test_names_are_relative_to_the_place_of_the_device_and_aliases_are_unique() -> None:
    shapes = shapes_of(SERVED)
    assert [shape.name for shape in shapes] == ["oil/level", "count", "on"]
    assert [shape.alias for shape in shapes] == [1, 2, 3]


def test_only_what_changed_is_told() -> None:
    edge = node()
    edge.births(["press", "pump"])
    [first] = metrics(edge.news([Said(1, 5, GOOD, 10_000)]))
    assert (first.alias, first.long_value, first.timestamp) == (2, 5, 10)
    assert not first.HasField("is_historical")
    assert edge.news([Said(1, 5, GOOD, 20_000)]) == []
    [doubted] = metrics(edge.news([Said(1, 5, uncertain("old"), 30_000)]))
    assert codec.property_of(doubted, "Quality") == 500
    [good] = metrics(edge.news([Said(1, 5, GOOD, 40_000)]))
    assert codec.property_of(good, "Quality") == 192


def test_what_comes_late_is_told_as_historical_and_changes_nothing() -> None:
    edge = node()
    edge.births(["press"])
    edge.news([Said(1, 5, GOOD, 20_000)])
    [late] = metrics(edge.news([Said(1, 4, GOOD, 10_000)]))
    assert (late.is_historical, late.long_value, late.timestamp) == (True, 4, 10)
    again = metrics(edge.births(["press"]))
    assert [m.long_value for m in again if m.name == "count"] == [5]


def test_a_device_that_is_not_born_says_nothing_but_its_birth_is_up_to_date() -> None:
    edge = node()
    edge.births([])
    assert edge.news([Said(2, True, GOOD, 10_000)]) == []
    [metric] = metrics([edge.device_birth("pump")])
    assert (metric.name, metric.boolean_value, metric.timestamp) == ("on", True, 10)
    [(topic, death)] = read([edge.device_death("pump")])
    assert (topic, death.seq) == ("spBv1.0/g/DDEATH/e/pump", 2)
    assert edge.news([Said(2, False, GOOD, 20_000)]) == []


def test_many_changes_are_told_in_several_messages_and_in_the_order_of_time() -> None:
    edge = node()
    edge.births(["press"])
    said = [Said(1, n, GOOD, (n + 1) * 1000) for n in reversed(range(AT_ONCE + 1))]
    told = read(edge.news(said))
    assert [payload.seq for _, payload in told] == [2, 3]
    values = [m.long_value for _, payload in told for m in payload.metrics]
    assert values == list(range(AT_ONCE + 1))


@pytest.mark.parametrize(
    ("value", "status", "quality"),
    [
        (None, bad("cut"), 0),
        (float("nan"), bad("nonsense"), 0),
        (float("inf"), GOOD, 0),
        (None, uncertain("?"), 500),
    ],
)
def test_a_value_that_cannot_be_said_is_null_with_its_quality(
    value: Value | None, status: Status, quality: int
) -> None:
    edge = node()
    edge.births(["press"])
    [metric] = metrics(edge.news([Said(0, value, status, 10_000)]))
    assert metric.is_null
    assert metric.WhichOneof("value") is None
    assert codec.property_of(metric, "Quality") == quality


STATUSES = st.sampled_from([GOOD, uncertain("so so")])


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), STATUSES), max_size=30))
def test_our_host_understands_what_our_node_says(
    said: list[tuple[int, Status]],
) -> None:
    edge = node()
    host = Host({0: Address("g", "e", "press", "count")}, patience_s=5.0)
    host.begin(NOW_US)
    messages = edge.births(["press"])
    for number, (value, status) in enumerate(said):
        messages += edge.news([Said(1, value, status, (number + 1) * 1_000_000)])
    for message in messages:
        host.hear(message.topic, message.payload, NOW_US)
    batch = host.batch
    heard = list(zip(batch.values, (s.quality for s in batch.statuses), strict=True))
    expected: list[tuple[Value | None, Quality]] = [(None, Quality.BAD)]
    for value, status in said:
        if (value, status.quality) != expected[-1]:
            expected.append((value, status.quality))
    assert heard == expected


def order(reader: Reader, topic: str, *wishes: Metric) -> Orders:
    return reader.read(topic, Payload(metrics=wishes).SerializeToString())


def wish(name: str, datatype: DataType, value: Value, alias: int = 0) -> Metric:
    metric = Metric(name=name) if name else Metric(alias=alias)
    codec.encode(metric, datatype, value)
    return metric


def test_a_rebirth_is_asked_for_by_name_and_with_true() -> None:
    reader = Reader(shapes_of(SERVED), writes=False)
    assert reader.read(*rebirth("g", "e", 1)).rebirth
    no = wish("Node Control/Rebirth", DataType.BOOLEAN, False)
    assert not order(reader, "spBv1.0/g/NCMD/e", no).rebirth


def test_writes_are_refused_with_a_sentence_unless_all_allows_them() -> None:
    on = wish("on", DataType.BOOLEAN, True)
    closed = Reader(shapes_of(SERVED), writes=False)
    refused = order(closed, "spBv1.0/g/DCMD/e/pump", on)
    assert not refused.writes
    assert "northbound.sparkplug.writes" in refused.refused[0]
    opened = Reader(shapes_of(SERVED), writes=True)
    for topic, metric, why in [
        ("pump", wish("on", DataType.DOUBLE, 1.0), "type"),
        ("pump", wish("", DataType.BOOLEAN, True, alias=9), "alias 9"),
        ("pump", wish("", DataType.INT64, 1, alias=2), "alias 2"),
        ("press", wish("count", DataType.INT64, 1), "writable"),
        ("press", on, "'on' is no metric of press"),
    ]:
        told = order(opened, f"spBv1.0/g/DCMD/e/{topic}", metric)
        assert not told.writes
        assert why in told.refused[0]
    assert opened.read("spBv1.0/g/DCMD/e/pump", b"\xff").refused
    for granted in (on, wish("", DataType.BOOLEAN, True, alias=3)):
        [(shape, value)] = order(opened, "spBv1.0/g/DCMD/e/pump", granted).writes
        assert (shape.point.name, value) == ("acme/a/pump/on", True)


@given(st.binary(max_size=200))
def test_no_bytes_from_a_host_can_stop_us(data: bytes) -> None:
    reader, host = Reader(shapes_of(SERVED), writes=True), PrimaryHost("scada")
    for topic in ("spBv1.0/g/DCMD/e/pump", "spBv1.0/g/NCMD/e", host.topic, "x"):
        reader.read(topic, data)
        host.hear(topic, data)
    assert isinstance(host.online, bool)


@given(
    st.integers(0, 40),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["pump", "press"]),
    st.integers(0, 4),
)
def test_no_command_of_any_type_can_stop_us(
    datatype: int, value: int, device: str, alias: int
) -> None:
    reader = Reader(shapes_of(SERVED), writes=True)
    metric = Metric(alias=alias, datatype=datatype, int_value=value)
    told = order(reader, f"spBv1.0/g/DCMD/e/{device}", metric)
    assert len(told.writes) + len(told.refused) == 1


def test_the_primary_host_is_believed_unless_its_word_is_older() -> None:
    host = PrimaryHost("scada")
    heard = []
    for topic, said in [
        ("spBv1.0/STATE/other", b'{"online":true,"timestamp":1}'),
        (host.topic, b"ONLINE"),
        (host.topic, b'{"online":true,"timestamp":10}'),
        (host.topic, b'{"online":false,"timestamp":9}'),
        (host.topic, b'{"online":false,"timestamp":10}'),
        (host.topic, b'{"online":true,"timestamp":9}'),
    ]:
        host.hear(topic, said)
        heard.append(host.online)
    assert heard == [False, False, True, True, False, False]
    assert PrimaryHost("").online


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "s.sqlite"


def waiting(sequence: int, device: str = "press", readings: int = 1) -> Waiting:
    return Waiting(sequence, device, readings, f"frame {sequence}".encode())


def test_the_store_counts_sessions_over_lives_and_begins_again_after_255(
    file: Path,
) -> None:
    for first in (0, 200, 144):
        with open_store(file, 10, ["press"]) as store:
            numbers = [store.next_session() for _ in range(200)]
        assert numbers == [(first + n) % 256 for n in range(200)]


def test_the_store_keeps_order_place_and_no_frame_twice(file: Path) -> None:
    with open_store(file, 10, ["press", "pump"]) as store:
        assert store.place() is None
        store.keep([waiting(1), waiting(2, "pump")], Place("s", 2))
        store.keep([waiting(2, "pump"), waiting(3)], Place("s", 3))
        assert store.readings == 3
    with open_store(file, 10, ["press", "pump"]) as store:
        assert (store.place(), store.readings) == (Place("s", 3), 3)
        rows = store.oldest(["press"], 10)
        assert [data for _, _, data in rows] == [b"frame 1", b"frame 3"]
        store.remove([number for number, _, _ in rows])
        assert store.readings == 1
    with open_store(file, 10, ["press"]) as store:
        assert (store.readings, store.dropped) == (0, 1)


def test_the_store_gives_little_at_once_but_something(file: Path) -> None:
    with open_store(file, 100, ["press"]) as store:
        store.keep([waiting(n, readings=4) for n in range(1, 6)], Place("s", 5))
        counts = [len(store.oldest(["press"], most)) for most in (1, 4, 8, 11, 50)]
        assert counts == [1, 1, 2, 2, 5]
        assert store.oldest([], 50) == []


def test_the_store_lets_the_oldest_go_when_it_is_full(file: Path) -> None:
    with open_store(file, 5, ["press"]) as store:
        store.keep([waiting(n, readings=2) for n in range(1, 5)], Place("s", 4))
        assert (store.readings, store.dropped) == (4, 4)
        rows = store.oldest(["press"], 10)
        assert [data for _, _, data in rows] == [b"frame 3", b"frame 4"]


@pytest.mark.parametrize("key", ["group", "edge_node"])
@pytest.mark.parametrize("value", ["", "a/b", "a+", "#"])
def test_ids_that_no_topic_can_hold_are_refused(key: str, value: str) -> None:
    told = {"url": "mqtt://127.0.0.1", "group": "g", "edge_node": "e", key: value}
    with pytest.raises(ValidationError):
        Sparkplug.model_validate(told)


def test_the_group_state_is_refused() -> None:
    with pytest.raises(ValidationError, match="primary hosts"):
        Sparkplug(url="mqtt://127.0.0.1", group="STATE", edge_node="e")
