import msgspec
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lineshaft.core.errors import Refused
from lineshaft.core.frame import (
    LARGEST,
    Columns,
    Frame,
    decode_frame,
    encode_frame,
    pack_values,
)
from lineshaft.core.reading import GOOD, Value, bad, uncertain

VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False),
    st.text(max_size=20),
)
STATUSES = (GOOD, uncertain("calibration is due"), bad("the wire is broken"))


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    values: list[Value | None] = draw(st.lists(VALUE, max_size=40))
    count = len(values)
    kind, bits, texts = pack_values(values)
    point = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    status = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    time = draw(
        st.lists(st.integers(0, 4_102_444_800_000_000), min_size=count, max_size=count)
    )
    columns = Columns(
        np.array(point, np.uint32),
        np.array(time, np.int64),
        kind,
        bits,
        np.array(status, np.uint16),
    )
    names = ("acme/a", "acme/b", "工場/速度")
    return Frame("d", "e", 7, names, ("mm", "", "°C"), texts, STATUSES, columns)


@given(frames())
def test_what_is_decoded_is_what_was_encoded(frame: Frame) -> None:
    again = decode_frame(encode_frame(frame))
    assert list(again.readings()) == list(frame.readings())
    assert again.id == frame.id == "d:e:7"


@given(st.lists(VALUE, max_size=40))
def test_values_survive_being_packed_with_their_types(
    values: list[Value | None],
) -> None:
    kind, bits, texts = pack_values(values)
    zeros = np.zeros(len(values), np.int64)
    columns = Columns(
        zeros.astype(np.uint32), zeros, kind, bits, zeros.astype(np.uint16)
    )
    again = columns.values(texts)
    assert again == values
    assert [type(value) for value in again] == [type(value) for value in values]


def test_an_integer_beyond_64_bits_is_kept_as_the_nearest_float() -> None:
    kind, bits, _ = pack_values([1 << 70])
    assert bits.view(np.float64)[0] == float(1 << 70)
    assert kind[0] == 1


def test_numbers_are_floats_and_the_rest_is_not_a_number() -> None:
    kind, bits, _ = pack_values([1.5, 2, True, "x", None])
    zeros = np.zeros(5, np.int64)
    columns = Columns(
        zeros.astype(np.uint32), zeros, kind, bits, zeros.astype(np.uint16)
    )
    np.testing.assert_array_equal(columns.numbers(), [1.5, 2.0, 1.0, np.nan, np.nan])


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else(data: bytes) -> None:
    with pytest.raises(Refused):
        decode_frame(data)


@settings(max_examples=200)
@given(frames(), st.data())
def test_a_damaged_frame_is_refused_or_still_sound(
    frame: Frame, data: st.DataObject
) -> None:
    raw = bytearray(zstandard.ZstdDecompressor().decompress(encode_frame(frame)))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        again = decode_frame(zstandard.ZstdCompressor().compress(bytes(raw)))
    except Refused:
        return
    assert len(list(again.readings())) == len(again)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(LARGEST + 1))
    with pytest.raises(Refused, match="unpacks to"):
        decode_frame(bomb)


def test_a_frame_of_the_future_is_refused_with_its_version() -> None:
    empty = [9, "d", "e", 1, [], [], [], [], b"", b"", b"", b"", b""]
    data = zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(empty))
    with pytest.raises(Refused, match="version 9"):
        decode_frame(data)
