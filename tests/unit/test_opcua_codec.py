"""Readings out of bytes that the library, which decodes by itself, has encoded."""

import math
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.errors import LineshaftError
from lineshaft.core.reading import GOOD, Quality, Status, Value, to_us
from lineshaft.network.device import Batch
from lineshaft.network.drivers.opcua.wire.messages import (
    DATA_CHANGE,
    STATUS_CHANGE,
    decode_changes,
    decode_message,
    decode_published,
    decode_status_change,
    decode_values,
)
from lineshaft.network.drivers.opcua.wire.values import (
    Malformed,
    data_value_at,
    status_of,
)

T = ua.VariantType
NOW = 1_700_000_000_000_000
MOMENT = datetime(2026, 11, 23, 6, 15, 0, 123456, tzinfo=UTC)
MOMENT_US = to_us(MOMENT)
BAD_SENSOR = ua.StatusCode(ua.StatusCodes.BadSensorFailure)


def data_value(variant: ua.Variant | None, **parts: object) -> ua.DataValue:
    """A DataValue that has only the parts that are named."""
    wanted: dict[str, object] = {"StatusCode": None} | parts
    value = ua.DataValue(variant, **wanted)
    if variant is None:
        object.__setattr__(value, "Value", None)
    return value


def changes(values: Sequence[ua.DataValue]) -> Batch:
    """Go through a whole publish response."""
    notification = ua.DataChangeNotification()
    notification.MonitoredItems = [
        ua.MonitoredItemNotification(handle, value)
        for handle, value in enumerate(values)
    ]
    response = ua.PublishResponse()
    response.Parameters.SubscriptionId = 7
    response.Parameters.AvailableSequenceNumbers = [3, 4]
    response.Parameters.Results = [ua.StatusCode(ua.StatusCodes.Good)]
    message = response.Parameters.NotificationMessage
    message.SequenceNumber = 4
    message.NotificationData = [notification]
    body = struct_to_binary(response)
    published = decode_published(body)
    assert (published.subscription, published.sequence) == (7, 4)
    assert published.available == (3, 4)
    [(encoding, start, end)] = published.notifications
    assert encoding == DATA_CHANGE
    return decode_changes(body, start, end, NOW)


def one(value: ua.DataValue) -> tuple[Value | None, int, Status]:
    batch = changes([value])
    assert batch.points == [0]
    return batch.values[0], batch.times[0], batch.statuses[0]


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (T.Boolean, True, True),
        (T.SByte, -128, -128),
        (T.Byte, 255, 255),
        (T.Int16, -32768, -32768),
        (T.UInt16, 65535, 65535),
        (T.Int32, -(2**31), -(2**31)),
        (T.UInt32, 2**32 - 1, 2**32 - 1),
        (T.Int64, -(2**63), -(2**63)),
        (T.UInt64, 2**64 - 1, 2**64 - 1),
        (T.Float, 0.5, 0.5),
        (T.Double, 0.1, 0.1),
        (T.String, "größer", "größer"),
        (T.String, "", ""),
        (T.DateTime, MOMENT, "2026-11-23T06:15:00.123456Z"),
        (T.Guid, UUID(int=5), str(UUID(int=5))),
        (T.ByteString, b"\x00\xff", "00ff"),
        (T.XmlElement, ua.XmlElement("<a/>"), "<a/>"),
        (T.NodeId, ua.NodeId("x", 2), "ns=2;s=x"),
        (T.NodeId, ua.NodeId(70000, 300), "ns=300;i=70000"),
        (T.NodeId, ua.NodeId(UUID(int=5), 1), f"ns=1;g={UUID(int=5)}"),
        (T.NodeId, ua.NodeId(b"\1\2\3", 1), "ns=1;b=AQID"),
        (T.StatusCode, BAD_SENSOR, "BadSensorFailure"),
        (T.QualifiedName, ua.QualifiedName("n", 2), "2:n"),
        (T.LocalizedText, ua.LocalizedText("Hallo", "de"), "Hallo"),
    ],
)
def test_every_scalar_type_comes_out_as_it_went_in(
    kind: ua.VariantType, raw: object, value: Value
) -> None:
    found, time_us, status = one(
        data_value(ua.Variant(raw, kind), SourceTimestamp=MOMENT)
    )
    assert found == value
    assert type(found) is type(value)
    assert (time_us, status) == (MOMENT_US, GOOD)


@pytest.mark.parametrize(
    ("variant", "word"),
    [
        (ua.Variant([1, 2, 3], T.Int32), "array of 3"),
        (ua.Variant(["a", "bc"], T.String), "array of 2"),
        (ua.Variant([], T.Double), "array of 0"),
        (ua.Variant([[1, 2], [3, 4]], T.Int64), "array of 4"),
        (ua.Variant(ua.EUInformation(), T.ExtensionObject), "structure"),
        (ua.Variant([ua.EUInformation()] * 2, T.ExtensionObject), "array of 2"),
        (ua.Variant(ua.DataValue(ua.Variant(1.0, T.Double)), T.DataValue), "DataValue"),
    ],
)
def test_what_is_not_one_value_is_bad_and_the_next_value_is_whole(
    variant: ua.Variant, word: str
) -> None:
    after = data_value(ua.Variant(2.5, T.Double), SourceTimestamp=MOMENT)
    batch = changes([data_value(variant), after])
    assert batch.values == [None, 2.5]
    assert batch.statuses[0].quality is Quality.BAD
    assert word in batch.statuses[0].reason
    assert batch.statuses[1] is GOOD


def test_the_source_time_is_preferred_then_the_servers_then_ours() -> None:
    value = ua.Variant(1.0, T.Double)
    late = MOMENT + timedelta(seconds=1)
    both = data_value(value, SourceTimestamp=MOMENT, ServerTimestamp=late)
    fine = data_value(
        value,
        SourceTimestamp=MOMENT,
        SourcePicoseconds=9,
        ServerTimestamp=late,
        ServerPicoseconds=9,
    )
    server = data_value(value, ServerTimestamp=late)
    never = data_value(value, SourceTimestamp=datetime(1601, 1, 1, tzinfo=UTC))
    batch = changes([both, fine, server, never, data_value(value)])
    assert batch.times == [MOMENT_US, MOMENT_US, MOMENT_US + 1_000_000, NOW, NOW]


def test_a_status_keeps_its_severity_and_its_name() -> None:
    assert status_of(0) == GOOD
    assert status_of(0x80AB0000).quality is Quality.BAD
    assert one(data_value(None, StatusCode=BAD_SENSOR))[2] == Status(
        Quality.BAD, "OPC UA BadSensorFailure"
    )
    doubtful = ua.StatusCode(ua.StatusCodes.UncertainLastUsableValue)
    value, _, status = one(data_value(ua.Variant(4, T.Int16), StatusCode=doubtful))
    assert (value, status) == (
        4,
        Status(Quality.UNCERTAIN, "OPC UA UncertainLastUsableValue"),
    )
    assert status_of(0x8FFF0000).reason == "OPC UA 0x8FFF0000"


def test_an_overflow_in_the_server_is_told() -> None:
    assert status_of(0x480) == Status(Quality.GOOD, "OPC UA Good, Overflow")


def test_a_good_status_without_a_value_is_bad() -> None:
    assert one(data_value(None))[2].quality is Quality.BAD


def test_a_text_that_is_not_utf8_costs_nothing_but_its_strange_letters() -> None:
    body = bytes([1, 12]) + struct.pack("<i", 3) + b"\xe4bc"
    batch = decode_changes(struct.pack("<iI", 1, 0) + body, 0, 4 + 4 + len(body), NOW)
    assert batch.values == ["\ufffdbc"]


SCALARS = st.one_of(
    st.builds(lambda v: (T.Double, v), st.floats(allow_nan=False)),
    st.builds(lambda v: (T.Float, v), st.floats(width=32, allow_nan=False)),
    st.builds(lambda v: (T.Int32, v), st.integers(-(2**31), 2**31 - 1)),
    st.builds(lambda v: (T.UInt64, v), st.integers(0, 2**64 - 1)),
    st.builds(lambda v: (T.Boolean, v), st.booleans()),
    st.builds(lambda v: (T.String, v), st.text()),
)
ROWS = st.lists(
    st.tuples(SCALARS, st.sampled_from([0, 1, 2, 3]), st.integers(1, 60)), max_size=12
)


@given(ROWS)
def test_runs_of_alike_values_and_single_ones_give_the_same_columns(
    rows: list[tuple[tuple[ua.VariantType, Value], int, int]],
) -> None:
    values, expected = [], []
    for (kind, raw), form, times in rows:
        parts: dict[str, object] = {}
        if form & 1:
            parts["SourceTimestamp"] = MOMENT
        if form & 2:
            parts["StatusCode"] = BAD_SENSOR
        status = status_of(BAD_SENSOR.value) if form & 2 else GOOD
        row = (raw, MOMENT_US if form & 1 else NOW, status)
        values += [data_value(ua.Variant(raw, kind), **parts)] * times
        expected += [row] * times
    batch = changes(values)
    found = list(zip(batch.values, batch.times, batch.statuses, strict=True))
    assert batch.points == list(range(len(values)))
    assert found == expected
    assert [type(value) for value in batch.values] == [type(row[0]) for row in expected]


def test_nan_is_passed_on_for_the_shaper_to_judge() -> None:
    value, _, _ = one(data_value(ua.Variant(math.nan, T.Double)))
    assert isinstance(value, float)
    assert math.isnan(value)


def test_a_read_response_gives_its_values_in_order() -> None:
    response = ua.ReadResponse()
    response.Results = [
        data_value(ua.Variant(1.5, T.Double), SourceTimestamp=MOMENT),
        data_value(None, StatusCode=ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown)),
    ]
    batch = decode_values(struct_to_binary(response), NOW)
    assert (batch.points, batch.values) == ([0, 1], [1.5, None])
    assert batch.statuses[1].reason == "OPC UA BadNodeIdUnknown"


def test_a_status_change_is_understood() -> None:
    response = ua.RepublishResponse()
    response.NotificationMessage.SequenceNumber = 9
    change = ua.StatusChangeNotification(ua.StatusCode(ua.StatusCodes.BadTimeout))
    response.NotificationMessage.NotificationData = [change]
    body = struct_to_binary(response)
    message = decode_message(body)
    [(encoding, start, _)] = message.notifications
    assert (message.sequence, encoding) == (9, STATUS_CHANGE)
    assert decode_status_change(body, start) == ua.StatusCodes.BadTimeout


@given(st.binary(max_size=200))
def test_random_bytes_raise_only_our_errors(data: bytes) -> None:
    decoders: list[Callable[[], object]] = [
        lambda: decode_published(data),
        lambda: decode_message(data),
        lambda: decode_changes(data, 0, len(data), NOW),
        lambda: decode_values(data, NOW),
        lambda: decode_status_change(data, 0),
    ]
    for decode in decoders:
        with suppress(LineshaftError):
            decode()


@given(st.data())
def test_a_damaged_message_raises_only_our_errors(data: st.DataObject) -> None:
    response = ua.ReadResponse()
    response.Results = [
        ua.DataValue(ua.Variant([ua.DataValue(ua.Variant(1.0))], T.DataValue)),
        ua.DataValue(ua.Variant([ua.EUInformation()], T.ExtensionObject)),
        ua.DataValue(ua.Variant(["a"], T.String), SourceTimestamp=MOMENT),
    ]
    body = bytearray(struct_to_binary(response))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    with suppress(LineshaftError):
        batch = decode_values(bytes(body[:cut]), NOW)
        assert len(batch.values) == len(batch.times) == len(batch.statuses)


def test_an_array_of_billions_of_nothings_is_refused_at_once() -> None:
    body = bytes([1, 0x80]) + struct.pack("<i", 2**31 - 1) + bytes(40)
    with pytest.raises(Malformed, match="array of nothing"):
        data_value_at(body, 0, 0, Batch(), NOW)
