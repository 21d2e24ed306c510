"""Addresses, paths, settings and plain payloads of MQTT."""

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lineshaft.core.errors import ConfigError, NotFound, Refused
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import GOOD, Quality, Value
from lineshaft.network.device import Batch
from lineshaft.network.drivers.mqtt import plain
from lineshaft.network.drivers.mqtt.address import (
    Metric,
    Place,
    Plain,
    parse_address,
)
from lineshaft.network.drivers.mqtt.driver import sessions
from lineshaft.network.drivers.mqtt.path import (
    build,
    follow,
    leaves,
    parse_path,
    write_path,
)
from lineshaft.network.drivers.mqtt.settings import Settings

NOW = 1_800_000_000_000_000
STEPS = st.lists(
    st.one_of(st.text(st.characters(codec="utf-8"), min_size=1), st.integers(-9, 99)),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize(
    ("address", "meaning"),
    [
        ("plant/pump/1", Plain(Place("plant/pump/1"))),
        ("a/b#t.v", Plain(Place("a/b", ("t", "v")))),
        ("a/b#[0].v > a/b/set", Plain(Place("a/b", (0, "v")), Place("a/b/set"))),
        ("spBv1.0/g/e:Node Info/x:y", Metric("g", "e", "", "Node Info/x:y")),
        ("spBv1.0/g/e/d:Flow", Metric("g", "e", "d", "Flow")),
    ],
)
def test_an_address_means_a_topic_or_a_metric(address: str, meaning: object) -> None:
    assert parse_address(address) == meaning


@pytest.mark.parametrize(
    "address",
    [
        "", "#a", "a/#", "a/+/b", "a#", "a#b..c", "a#[x]", "a > ", "$SYS/uptime",
        "a\0b", "spBv1.0/g:x", "spBv1.0/g/e", "spBv1.0/g/e/d/f:x", "spBv1.0/+/e:x",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_with_a_sentence(address: str) -> None:
    with pytest.raises(ConfigError, match=r"\w+ \w+"):
        parse_address(address)


@given(st.text())
def test_any_text_is_an_address_or_a_configuration_error(text: str) -> None:
    with suppress(ConfigError):
        parse_address(text)


@given(STEPS)
def test_a_path_is_read_as_it_is_written(steps: list[str | int]) -> None:
    assert parse_path(write_path(tuple(steps))) == tuple(steps)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4), st.integers())
def test_what_is_built_at_a_path_is_found_there(keys: list[str], value: int) -> None:
    document = build(tuple(keys), value)
    assert follow(document, tuple(keys)) == value
    assert list(leaves(document)) == [(tuple(keys), value)]


def test_a_path_that_leads_nowhere_says_at_which_step() -> None:
    with pytest.raises(NotFound, match=r"a\.b"):
        follow({"a": {"c": 1}}, parse_path("a.b.d"))


def heard(
    kind: Kind, address: str, data: bytes, time_path: str = ""
) -> tuple[Value | None, Quality, str, int]:
    parsed = parse_address(address)
    assert isinstance(parsed, Plain)
    point = Point(name="a/b", address=address, type=kind)
    path = parse_path(time_path) if time_path else None
    reader = plain.Reader({0: (parsed, point)}, path)
    reader.hear(parsed.read.topic, data, NOW)
    [value], [status] = reader.batch.values, reader.batch.statuses
    return value, status.quality, status.reason, reader.batch.times[0]


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (Kind.FLOAT, b" 21.5 ", 21.5),
        (Kind.INT, b"-3", -3),
        (Kind.BOOL, b"ON", True),
        (Kind.BOOL, b"0", False),
        (Kind.STRING, b"on", "on"),
    ],
)
def test_a_plain_payload_is_the_value(kind: Kind, data: bytes, value: Value) -> None:
    assert heard(kind, "t", data) == (value, Quality.GOOD, "", NOW)


@pytest.mark.parametrize(
    ("kind", "address", "data", "reason"),
    [
        (Kind.FLOAT, "t", b"warm", "not of type float"),
        (Kind.FLOAT, "t", b"nan", "without a size"),
        (Kind.INT, "t", b"1.5", "not of type int"),
        (Kind.BOOL, "t", b"2", "not true or false"),
        (Kind.STRING, "t", b"\xff", "not text"),
        (Kind.FLOAT, "t#a", b"{", "not JSON"),
        (Kind.FLOAT, "t#a", b'{"b": 1}', "nothing at a"),
        (Kind.FLOAT, "t#a", b'{"a": null}', "null"),
        (Kind.FLOAT, "t#a", b'{"a": {}}', "object or a list"),
        (Kind.FLOAT, "t#a", b'{"a": "x"}', "not of type float"),
    ],
)
def test_a_payload_that_is_not_what_is_wanted_is_bad_with_the_reason(
    kind: Kind, address: str, data: bytes, reason: str
) -> None:
    value, quality, said, _ = heard(kind, address, data)
    assert (value, quality) == (None, Quality.BAD)
    assert reason in said


@given(st.binary(max_size=200), st.sampled_from(list(Kind)), st.booleans())
def test_no_bytes_can_break_a_reader(data: bytes, kind: Kind, deep: bool) -> None:
    heard(kind, "t#a[0]" if deep else "t", data, "time")


def test_json_nested_too_deep_is_bad() -> None:
    assert heard(Kind.FLOAT, "t#a", b"[" * 100_000)[1] is Quality.BAD


@pytest.mark.parametrize(
    "time", ["2027-01-15T08:00:00Z", 1_800_000_000, 1_800_000_000_000, 18 * 10**14]
)
def test_a_payload_tells_its_time(time: object) -> None:
    data = msgspec.json.encode({"v": 1.5, "time": time})
    assert heard(Kind.FLOAT, "t#v", data, "time") == (1.5, Quality.GOOD, "", NOW)


@pytest.mark.parametrize("time", ["soon", True, -1, 1e300, None])
def test_a_payload_without_a_time_is_uncertain(time: object) -> None:
    data = msgspec.json.encode({"v": 1.5, "time": time})
    value, quality, reason, at = heard(Kind.FLOAT, "t#v", data, "time")
    assert (value, quality, at) == (1.5, Quality.UNCERTAIN, NOW)
    assert "time" in reason


@given(st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text()))
def test_what_is_written_is_what_is_read(value: Value) -> None:
    kinds = {bool: Kind.BOOL, int: Kind.INT, str: Kind.STRING}
    kind = kinds[type(value)]
    data = plain.payload_for(Place("t"), value)
    assert plain.scalar(data, kind) == (value, GOOD)
    inside = plain.payload_for(Place("t", ("a", "b")), value)
    assert heard(kind, "t#a.b", inside)[0] == value


def test_a_value_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(Refused, match="not of type int"):
        plain.check_value("not a number", Kind.INT)


def test_plain_and_sparkplug_points_get_connections_of_their_own() -> None:
    points = [Point(name="a/b", address=a) for a in ("t", "spBv1.0/g/e:m", "u#x", "t")]
    settings = Settings(host="h")
    assert sessions(settings, points) == {"plain": [0, 2, 3], "sparkplug": [1]}
    assert sessions(settings, points[:1]) == {"": [0]}


def test_a_password_never_travels_openly_unless_allowed() -> None:
    wants: dict[str, object] = {"host": "10.0.0.9", "user": "u", "password": "p"}
    with pytest.raises(ValidationError, match="allow_plain_password"):
        Settings.model_validate(wants)
    Settings.model_validate(wants | {"allow_plain_password": True})
    Settings.model_validate(wants | {"tls": True})
    Settings.model_validate(wants | {"host": "127.0.0.1"})


def test_our_name_at_the_broker_is_stable_and_short() -> None:
    settings = Settings(host="h")
    names = {settings.broker("", ["a", "b"]).client_id for _ in range(3)}
    names.add(settings.broker("sparkplug", ["a", "b"]).client_id)
    assert len(names) == 2
    assert all(len(name) <= 23 for name in names)


def test_files_for_tls_that_are_missing_are_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"absent\.pem"):
        Settings(host="h", ca_file=Path("absent.pem")).broker("", [])


def test_a_refused_topic_reads_as_bad() -> None:
    point = Point(name="a/b", address="t")
    reader = plain.Reader({3: (Plain(Place("t")), point)}, None)
    reader.refuse("t", NOW)
    batch: Batch = reader.batch
    assert (batch.points, batch.statuses[0].quality) == ([3], Quality.BAD)
