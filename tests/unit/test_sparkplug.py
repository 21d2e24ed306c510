"""Sparkplug payloads, and what a host application makes of them."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.errors import Refused
from lineshaft.core.reading import Quality, Value
from lineshaft.network.drivers.mqtt.address import Metric as Address
from lineshaft.network.drivers.mqtt.sparkplug import payload as codec
from lineshaft.network.drivers.mqtt.sparkplug.host import Host, rebirth
from lineshaft.network.drivers.mqtt.sparkplug.payload import DataType, Metric, Payload

NOW = 1_800_000_000_000_000
SECOND = 1_000_000
NODE_TOPIC = "spBv1.0/g/{}/e"
WANTED = {
    0: Address("g", "e", "", "load"),
    1: Address("g", "e", "d", "flow"),
    2: Address("g", "e", "d", "gone"),
}
BITS = {
    DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64,
    DataType.DATE_TIME: 64,
}  # fmt: skip
UNSIGNED = {
    DataType.UINT8: 8, DataType.UINT16: 16, DataType.UINT32: 32, DataType.UINT64: 64,
}  # fmt: skip


def values() -> st.SearchStrategy[tuple[DataType, Value]]:
    choices: list[st.SearchStrategy[tuple[DataType, Value]]] = [
        st.tuples(st.just(t), st.integers(-(1 << n - 1), (1 << n - 1) - 1))
        for t, n in BITS.items()
    ]
    choices += [
        st.tuples(st.just(t), st.integers(0, (1 << n) - 1)) for t, n in UNSIGNED.items()
    ]
    texts = st.text(st.characters(codec="utf-8"))
    singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
    doubles = st.floats(allow_nan=False, allow_infinity=False)
    choices += [
        st.tuples(st.just(DataType.FLOAT), singles),
        st.tuples(st.just(DataType.DOUBLE), doubles),
        st.tuples(st.just(DataType.BOOLEAN), st.booleans()),
        st.tuples(st.sampled_from([DataType.STRING, DataType.TEXT]), texts),
    ]
    return st.one_of(choices)


@given(values())
def test_a_metric_is_read_as_it_was_written(pair: tuple[DataType, Value]) -> None:
    datatype, value = pair
    message = Payload()
    codec.encode(message.metrics.add(), datatype, value)
    [metric] = codec.decode(message.SerializeToString()).metrics
    found, status = codec.value_of(metric, datatype)
    assert (found, type(found)) == (value, type(value))
    assert status.quality is Quality.GOOD


@given(st.binary(max_size=300))
def test_random_bytes_are_a_payload_or_refused(data: bytes) -> None:
    try:
        message = codec.decode(data)
    except Refused:
        return
    for metric in message.metrics:
        codec.value_of(metric, metric.datatype)


@pytest.mark.parametrize(
    ("raw", "value"), [(0xFB, -5), (0xFFFFFFFB, -5), (0x7F, 127), (0xFFFFFF7F, None)]
)
def test_an_int8_is_understood_however_far_its_sign_reaches(
    raw: int, value: int | None
) -> None:
    assert codec.value_of(Metric(int_value=raw), DataType.INT8)[0] == value


@pytest.mark.parametrize("field", ["int_value", "long_value"])
def test_a_uint32_is_understood_in_either_field(field: str) -> None:
    metric = Metric()
    setattr(metric, field, 4_000_000_000)
    assert codec.value_of(metric, DataType.UINT32)[0] == 4_000_000_000


@pytest.mark.parametrize(
    ("metric", "datatype", "reason"),
    [
        (Metric(is_null=True), 9, "null"),
        (Metric(), 9, "null"),
        (Metric(bytes_value=b"x"), DataType.BYTES, "type not supported: Bytes"),
        (Metric(dataset_value=b""), DataType.DATA_SET, "type not supported: DataSet"),
        (Metric(bytes_value=b"x"), DataType.INT8_ARRAY, "Int8Array"),
        (Metric(string_value="x"), DataType.FLOAT, "a Float came as string_value"),
        (Metric(int_value=300), DataType.UINT8, "does not fit 8 bits"),
        (Metric(int_value=1), 99, "data type 99"),
    ],
)
def test_a_metric_that_no_point_can_hold_is_bad_with_the_reason(
    metric: Metric, datatype: int, reason: str
) -> None:
    value, status = codec.value_of(metric, datatype)
    assert (value, status.quality) == (None, Quality.BAD)
    assert reason in status.reason


@pytest.mark.parametrize(
    ("code", "quality"),
    [
        (192, Quality.GOOD), (500, Quality.UNCERTAIN), (0, Quality.BAD),
        (64, Quality.UNCERTAIN), (216, Quality.GOOD), (24, Quality.BAD),
    ],
)  # fmt: skip
def test_the_property_quality_becomes_the_quality(code: int, quality: Quality) -> None:
    metric = Metric(float_value=1.5)
    metric.properties.keys.append("Quality")
    metric.properties.values.add(type=3, int_value=code)
    value, status = codec.value_of(metric, DataType.FLOAT)
    assert (value, status.quality) == (1.5, quality)


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        (DataType.INT8, 128), (DataType.UINT8, -1), (DataType.INT32, "x"),
        (DataType.INT32, 1.5), (DataType.FLOAT, 1e300), (DataType.BOOLEAN, 1),
        (DataType.STRING, 1), (DataType.BYTES, "x"), (DataType.DOUBLE, True),
        (DataType.INT32, float("inf")),
    ],
)  # fmt: skip
def test_a_value_that_a_data_type_cannot_hold_is_refused(
    datatype: DataType, value: Value
) -> None:
    with pytest.raises(Refused, match=r"\w+ \w+"):
        codec.encode(Metric(), datatype, value)


class Edge:
    """An edge node by hand: it speaks to a host, and hears its commands."""

    def __init__(self) -> None:
        self.host = Host(WANTED, patience_s=3.0)
        self.now = NOW
        self.seq = -1
        self.host.begin(self.now)

    def send(
        self, kind: str, *metrics: Metric, skip: int = 0, seq: bool = True
    ) -> bytes:
        self.seq = 0 if kind == "NBIRTH" else (self.seq + 1 + skip) % 256
        message = Payload(timestamp=self.now // 1000, metrics=metrics)
        if seq:
            message.seq = self.seq
        data = message.SerializeToString()
        self.tell(kind, data)
        return data

    def tell(self, kind: str, data: bytes) -> None:
        topic = NODE_TOPIC.format(kind)
        self.host.hear(f"{topic}/d" if kind[0] == "D" else topic, data, self.now)

    def born(self, bd_seq: int = 0) -> None:
        self.send(
            "NBIRTH",
            Metric(name="bdSeq", datatype=DataType.INT64, long_value=bd_seq),
            Metric(name="load", alias=1, datatype=DataType.INT16, int_value=7),
        )
        self.send("DBIRTH", Metric(name="flow", alias=2, datatype=9, float_value=1.5))

    def heard(self) -> dict[int, tuple[Value | None, Quality, str]]:
        batch = self.host.batch
        rows = zip(batch.points, batch.values, batch.statuses, strict=True)
        found = {n: (value, s.quality, s.reason) for n, value, s in rows}
        batch.__init__()  # type: ignore[misc]  # emptied, as taking it away does
        return found

    def asked(self) -> int:
        count = len(self.host.commands)
        assert all(t == "spBv1.0/g/NCMD/e" for t, _ in self.host.commands)
        self.host.commands.clear()
        return count


@pytest.fixture
def edge() -> Edge:
    return Edge()


@pytest.fixture
def alive(edge: Edge) -> Edge:
    edge.born()
    edge.heard()
    edge.asked()
    edge.now += 60 * SECOND
    return edge


def flow(value: float, timestamp: int = 0, *, is_historical: bool = False) -> Metric:
    return Metric(
        alias=2, float_value=value, timestamp=timestamp, is_historical=is_historical
    )


def test_births_are_asked_for_at_once(edge: Edge) -> None:
    assert edge.host.commands == [rebirth("g", "e", NOW)]


def test_births_define_metrics_and_carry_their_first_values(edge: Edge) -> None:
    edge.born()
    heard = edge.heard()
    assert heard[0] == (7, Quality.GOOD, "")
    assert heard[1] == (1.5, Quality.GOOD, "")
    assert heard[2][1] is Quality.BAD
    assert "not in the birth of device g/e/d" in heard[2][2]


def test_without_a_birth_everything_turns_bad_in_time(edge: Edge) -> None:
    edge.host.tick(NOW + 2 * SECOND)
    assert edge.heard() == {}
    edge.host.tick(NOW + 3 * SECOND)
    heard = edge.heard()
    assert {row[1] for row in heard.values()} == {Quality.BAD}
    assert "no birth came from edge node g/e" in heard[0][2]
    edge.host.tick(NOW + 4 * SECOND)
    assert edge.heard() == {}


def test_a_device_that_its_node_does_not_bear_turns_bad(edge: Edge) -> None:
    edge.send("NBIRTH", Metric(name="load", alias=1, datatype=2, int_value=7))
    edge.host.tick(NOW + 4 * SECOND)
    assert "no birth came from device g/e/d" in edge.heard()[1][2]


def test_data_are_understood_by_alias_and_by_name(alive: Edge) -> None:
    alive.send("DDATA", flow(2.5))
    assert alive.heard() == {1: (2.5, Quality.GOOD, "")}
    alive.send("DDATA", Metric(name="flow", float_value=3.5))
    assert alive.heard() == {1: (3.5, Quality.GOOD, "")}


def test_a_historical_value_keeps_its_time_and_is_not_the_last(alive: Edge) -> None:
    alive.send("DDATA", flow(9.0, timestamp=1_700_000_000_000, is_historical=True))
    assert alive.host.batch.times == [1_700_000_000_000_000]
    assert alive.host.last[1] == 1.5


def test_the_sequence_number_goes_round_after_255(alive: Edge) -> None:
    for _ in range(600):
        alive.send("DDATA", flow(2.5))
    assert alive.heard() == {1: (2.5, Quality.GOOD, "")}
    assert alive.asked() == 0


def test_a_gap_makes_everything_uncertain_until_the_rebirth(alive: Edge) -> None:
    alive.send("DDATA", flow(2.5), skip=1)
    heard = alive.heard()
    assert heard[0][:2] == (7, Quality.UNCERTAIN)
    assert heard[1][:2] == (2.5, Quality.UNCERTAIN)
    assert "message 2 was expected, 3 came" in heard[1][2]
    assert alive.asked() == 1
    alive.born()
    assert {n: row[1] for n, row in alive.heard().items()} == {
        0: Quality.GOOD,
        1: Quality.GOOD,
        2: Quality.BAD,
    }


def test_rebirths_are_asked_for_at_most_once_in_five_seconds(alive: Edge) -> None:
    asked = 0
    for _ in range(100):
        alive.now += SECOND // 10
        alive.send("DDATA", flow(2.5), skip=1)
        asked += alive.asked()
    assert asked == 2
    for _ in range(10):  # and again while it stays silent
        alive.now += SECOND
        alive.host.tick(alive.now)
    assert alive.asked() == 2


def test_a_message_that_came_twice_is_taken_once(alive: Edge) -> None:
    data = alive.send("DDATA", flow(2.5))
    alive.tell("DDATA", data)
    assert len(alive.host.batch) == 1
    assert alive.asked() == 0


def test_a_message_without_a_number_is_a_gap(alive: Edge) -> None:
    alive.send("DDATA", flow(2.5), seq=False)
    assert alive.heard()[1][1] is Quality.UNCERTAIN


def test_an_unknown_alias_is_doubted_and_births_are_asked_for(alive: Edge) -> None:
    alive.send("DDATA", Metric(alias=77, float_value=1.0))
    assert "the alias 77 of no birth" in alive.heard()[1][2]
    assert alive.asked() == 1


def test_data_before_a_birth_ask_for_it(edge: Edge) -> None:
    edge.asked()
    edge.now += 6 * SECOND
    edge.send("NDATA", Metric(alias=1, int_value=1))
    assert (edge.heard(), edge.asked()) == ({}, 1)


def test_garbage_is_doubted_and_births_are_asked_for(alive: Edge) -> None:
    alive.tell("DDATA", b"\xff\xff\xff")
    assert "cannot be read" in alive.heard()[1][2]
    assert alive.asked() == 1


def death(bd_seq: int) -> bytes:
    metric = Metric(name="bdSeq", datatype=DataType.INT64, long_value=bd_seq)
    return Payload(metrics=[metric]).SerializeToString()


def test_the_death_of_a_node_makes_all_its_metrics_bad(alive: Edge) -> None:
    alive.tell("NDEATH", death(0))
    heard = alive.heard()
    assert {row[:2] for row in heard.values()} == {(None, Quality.BAD)}
    assert set(heard) == {0, 1, 2}
    assert "edge node g/e died at 20" in heard[1][2]
    with pytest.raises(Refused, match="not alive"):
        alive.host.definition(1)


def test_the_late_will_of_an_old_connection_is_ignored(edge: Edge) -> None:
    edge.born(bd_seq=4)
    edge.heard()
    edge.tell("NDEATH", death(3))
    assert edge.heard() == {}
    edge.tell("NDEATH", death(4))
    assert edge.heard()


def test_the_death_of_a_device_leaves_the_node_alive(alive: Edge) -> None:
    alive.send("DDEATH")
    heard = alive.heard()
    assert set(heard) == {1, 2}
    assert "device g/e/d died" in heard[1][2]
    alive.send("NDATA", Metric(alias=1, int_value=8))
    assert alive.heard() == {0: (8, Quality.GOOD, "")}


def test_a_time_that_cannot_be_is_bad(alive: Edge) -> None:
    alive.send("DDATA", flow(2.5, timestamp=2**63))
    assert alive.heard()[1][:2] == (None, Quality.BAD)


def metrics() -> st.SearchStrategy[list[Metric]]:
    one = st.builds(
        Metric,
        name=st.sampled_from(["load", "flow", "bdSeq", ""]),
        alias=st.integers(0, 3),
        datatype=st.integers(0, 40),
        long_value=st.integers(0, 2**64 - 1),
        timestamp=st.integers(0, 2**64 - 1),
    )
    return st.lists(one, max_size=3)


def payloads() -> st.SearchStrategy[bytes]:
    def pack(seq: int, found: list[Metric]) -> bytes:
        return Payload(seq=seq, metrics=found).SerializeToString()

    good = st.builds(pack, st.integers(0, 300), metrics())
    return st.one_of(st.binary(max_size=40), good)


KINDS = ["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH", "X"]


@given(st.lists(st.tuples(st.sampled_from(KINDS), payloads()), max_size=20))
def test_no_conversation_can_break_a_host(said: Iterable[tuple[str, bytes]]) -> None:
    edge = Edge()
    for kind, data in said:
        edge.now += SECOND
        edge.tell(kind, data)
        edge.host.tick(edge.now)
    batch = edge.host.batch
    assert all(0 < time < 253_402_300_800_000_000 for time in batch.times)
    assert set(batch.points) <= set(WANTED)
