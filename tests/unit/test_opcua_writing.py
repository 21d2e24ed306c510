"""Values on their way into the types of OPC UA nodes."""

import math
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import variant_from_binary, variant_to_binary
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.errors import Refused
from lineshaft.core.reading import Value
from lineshaft.network.drivers.opcua.asking.converting import convert

T = ua.VariantType


@pytest.mark.parametrize(
    ("value", "kind", "raw"),
    [
        (True, T.Boolean, True),
        (0, T.Boolean, False),
        (1.0, T.Boolean, True),
        (7.0, T.Int32, 7),
        (-128, T.SByte, -128),
        (2**64 - 1, T.UInt64, 2**64 - 1),
        (3, T.Double, 3.0),
        (1.5, T.Float, 1.5),
        ("on", T.String, "on"),
        ("00ff", T.ByteString, b"\x00\xff"),
        (str(UUID(int=5)), T.Guid, UUID(int=5)),
        ("Hallo", T.LocalizedText, ua.LocalizedText("Hallo")),
        (
            "2026-11-23T06:15:00+01:00",
            T.DateTime,
            datetime(2026, 11, 23, 5, 15, tzinfo=UTC),
        ),
    ],
)
def test_a_value_becomes_what_the_node_holds(
    value: Value, kind: ua.VariantType, raw: object
) -> None:
    found = convert(value, kind)
    assert found == raw
    assert type(found) is type(raw)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("not a number", T.Int32),
        ("not a number", T.Double),
        (1.5, T.Int32),
        (256, T.Byte),
        (-1, T.UInt64),
        (2**63, T.Int64),
        (1e39, T.Float),
        (10**400, T.Double),
        (math.nan, T.Double),
        (math.inf, T.Float),
        (math.nan, T.Int16),
        (2, T.Boolean),
        ("true", T.Boolean),
        (1, T.String),
        ("no time", T.DateTime),
        ("no guid", T.Guid),
        ("xyz", T.ByteString),
        ("i=1", T.NodeId),
        (1, T.ExtensionObject),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_words(
    value: Value, kind: ua.VariantType
) -> None:
    with pytest.raises(Refused, match=r"\w+ \w+"):
        convert(value, kind)


VALUES = st.booleans() | st.integers() | st.floats() | st.text()


@given(VALUES, st.sampled_from([kind for kind in T if kind is not T.Null]))
def test_what_is_not_refused_can_be_sent_and_comes_back_equal(
    value: Value, kind: ua.VariantType
) -> None:
    with suppress(Refused):
        raw = convert(value, kind)
        sent = variant_to_binary(ua.Variant(raw, kind))
        back = variant_from_binary(Buffer(sent)).Value
        if kind is T.Float:
            assert back == pytest.approx(raw, rel=1e-6, abs=1e-44)
        elif kind is not T.DateTime:
            assert back == raw
