"""Events out of the bytes of a server, and what they mean."""

from contextlib import suppress

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.errors import LineshaftError
from lineshaft.core.event import Severity
from lineshaft.network.drivers.opcua.hearing.fields import (
    Fields,
    filter_of,
    severity_of,
)
from lineshaft.network.drivers.opcua.security import Settings
from lineshaft.network.drivers.opcua.wire.messages import decode_events
from lineshaft.network.drivers.opcua.wire.values import Scalar, Unfit

SETTINGS = Settings(url="opc.tcp://a:1", events=("server",))
EVENT: list[Scalar] = [
    "0aff", "i=2041", "ns=2;s=Oven", "Oven", "2026-01-02T03:04:05.000001Z", "hot", 700,
]  # fmt: skip
ALARM: list[Scalar] = [
    *EVENT, "ns=2;s=Oven.Hot", "Hot", "i=0", True, True, "", "", False, None, True,
]  # fmt: skip


def encoded(*events: tuple[int, list[object]]) -> bytes:
    told = [
        ua.EventFieldList(handle, [ua.Variant(value) for value in values])
        for handle, values in events
    ]
    return bytes(struct_to_binary(ua.EventNotificationList(Events=told)))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF_FFFF),
            st.lists(
                st.one_of(
                    st.none(),
                    st.booleans(),
                    st.floats(allow_nan=False),
                    st.text(),
                )
            ),
        )
    )
)
def test_events_are_decoded_as_they_were_encoded(
    events: list[tuple[int, list[object]]],
) -> None:
    body = b"xx" + encoded(*events)
    assert decode_events(body, 2, len(body)) == events


@given(st.binary(), st.integers(0, 40))
def test_random_bytes_raise_only_our_errors(noise: bytes, at: int) -> None:
    body = encoded((1, ["a", 2.5, [1, 2]]))
    for data in (noise, body[:at] + noise, body[:at]):
        with suppress(LineshaftError):
            decode_events(data, 0, len(data))


def test_every_field_that_is_asked_for_has_its_name() -> None:
    _, width = filter_of(all_fields=True)
    assert width == len(ALARM)
    _, width = filter_of(all_fields=False)
    assert width == len(EVENT)


def test_an_alarm_tells_its_condition_and_its_states() -> None:
    fields = Fields.of(ALARM)
    assert fields.is_alarm
    assert fields.time_us == 1_767_323_045_000_001
    detail = fields.detail()
    assert detail["condition"] == "ns=2;s=Oven.Hot"
    assert (detail["active"], detail["acknowledged"]) == (True, False)
    assert "branch" not in detail
    assert "confirmed" not in detail


def test_an_event_that_says_little_or_nonsense_is_still_told() -> None:
    for values in (
        [],
        [None] * 7,
        [Unfit("x")] * 17,
        [1.5] * 7,
        [True] * 17,
        ["2026-01-01"] * 7,
    ):
        fields = Fields.of(values)
        assert not fields.is_alarm
        assert fields.time_us is None
        assert severity_of(fields, SETTINGS) is Severity.INFO
        assert fields.identity


def test_the_same_event_in_another_state_is_another_one() -> None:
    again = [*ALARM[:14], True, *ALARM[15:]]
    assert Fields.of(ALARM).identity == Fields.of(list(ALARM)).identity
    assert Fields.of(ALARM).identity != Fields.of(again).identity


@pytest.mark.parametrize(
    ("number", "severity"),
    [
        (1, Severity.INFO),
        (333, Severity.INFO),
        (334, Severity.WARNING),
        (667, Severity.ERROR),
        (1000, Severity.ERROR),
    ],
)
def test_the_severity_follows_the_map_of_the_settings(
    number: int, severity: Severity
) -> None:
    fields = Fields.of([*EVENT[:6], number])
    assert severity_of(fields, SETTINGS) is severity
    quiet = SETTINGS.model_copy(update={"warning_from": 1001, "error_from": 1001})
    assert severity_of(fields, quiet) is Severity.INFO


def test_an_alarm_that_is_over_is_for_information() -> None:
    over = [*ALARM[:16], False]
    assert severity_of(Fields.of(over), SETTINGS) is Severity.INFO
    assert severity_of(Fields.of(ALARM), SETTINGS) is Severity.ERROR


@pytest.mark.parametrize(
    "wrong",
    [
        {"events": ["Server"]},
        {"events": ["server", "ns=2"]},
        {"warning_from": 700, "error_from": 600},
    ],
)
def test_wrong_settings_of_events_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"events|warning_from"):
        Settings.model_validate({"url": "opc.tcp://a:1", **wrong})
