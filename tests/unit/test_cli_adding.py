"""What `add` would write, and how addresses of devices are read."""

import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.cli.machines.adding import check_place, suggest, with_device
from lineshaft.cli.machines.address import open_settings, parse
from lineshaft.core.errors import ConfigError, LineshaftError, Refused
from lineshaft.core.name import check_name, place_of
from lineshaft.core.point import Kind
from lineshaft.network.device import Found
from lineshaft.settings.points import read_points, write_points

PLACE = "acme/osaka/press"
texts = st.text(st.characters(codec="utf-8"), max_size=10)
paths = st.lists(st.text(max_size=12), max_size=4).map(tuple)


def found(*path: str, description: str = "") -> Found:
    address = "1/holding:0"
    return Found(
        address=address, path=path, type=Kind.INT, unit="mm", description=description
    )


@given(st.lists(paths, max_size=40))
def test_suggested_names_are_valid_and_unique(
    given_paths: list[tuple[str, ...]],
) -> None:
    points = suggest([found(*path) for path in given_paths], PLACE)
    names = [point.name for point in points]
    assert len(points) == len(given_paths)
    assert len(set(names)) == len(names)
    for name in names:
        assert check_name(name) == name
        assert place_of(name) == PLACE


@given(st.text(min_size=100, max_size=600))
def test_a_very_long_name_of_a_device_s_own_is_cut(text: str) -> None:
    deep = "/".join(["a" * 20] * 7)
    [point] = suggest([found(text, text)], deep)
    assert check_name(point.name)


def test_suggested_names_are_the_device_s_own_as_far_as_they_go() -> None:
    points = suggest(
        [
            found("Press", "Hydraulic pressure"),
            found("Pump", "Speed"),
            found("Fan", "Speed"),
            found("Fan", "Speed"),
            found("unit 1", "holding", "7"),
        ],
        PLACE,
    )
    assert [point.name.removeprefix(f"{PLACE}/") for point in points] == [
        "Hydraulic_pressure",
        "Speed",
        "Fan_Speed",
        "Fan_Speed_2",
        "holding_7",
    ]


@given(st.lists(st.tuples(paths, texts), max_size=10))
def test_what_is_suggested_is_read_again_as_a_point_list(
    given_points: list[tuple[tuple[str, ...], str]],
) -> None:
    points = suggest(
        [found(*path, description=said) for path, said in given_points], PLACE
    )
    with TemporaryDirectory() as folder:
        file = Path(folder, "points.csv")
        write_points(file, points)
        read = read_points(file, lambda _: None)
    assert read.problems == []
    assert read.points == points


COMMENTED = """\
# our plant
[plant]
name = "Osaka"  # the one in the harbour

[devices.first]  # do not touch
driver = "modbus"
points = "first.csv"

[web]
port = 0  # any
"""
TABLE: dict[str, object] = {
    "driver": "opcua",
    "points": "press.csv",
    "url": "opc.tcp://h",
}


def test_a_device_is_added_and_every_other_line_is_kept() -> None:
    after = with_device(COMMENTED, "press", TABLE, replace=False)
    assert [
        line for line in COMMENTED.splitlines() if line not in after.splitlines()
    ] == []
    read, before = tomllib.loads(after), tomllib.loads(COMMENTED)
    assert read["devices"].pop("press") == TABLE
    assert read == before


SCATTERED = """\
[devices.a]
driver = "modbus" # one
[web]
port = 1
[devices.b]
driver = "mqtt" # two
"""


@pytest.mark.parametrize("text", ["", "[plant]\nname = 'x'", SCATTERED, "[devices]\n"])
def test_a_device_is_added_wherever_the_others_stand(text: str) -> None:
    after = with_device(text, "press", TABLE, replace=False)
    read, before = tomllib.loads(after), tomllib.loads(text)
    assert read["devices"].pop("press") == TABLE
    assert read.get("devices") == before.get("devices", {})
    assert all(part in after for part in ("# one", "# two") if part in text)


def test_a_device_that_is_there_is_replaced_only_on_demand() -> None:
    with pytest.raises(Refused, match="--replace"):
        with_device(COMMENTED, "first", TABLE, replace=False)
    after = with_device(COMMENTED, "first", TABLE, replace=True)
    assert tomllib.loads(after)["devices"] == {"first": TABLE}
    assert "# the one in the harbour" in after
    assert "# any" in after


@pytest.mark.parametrize("text", ["[devices", "devices = 1", "devices = {}"])
def test_a_file_that_is_wrong_is_not_written(text: str) -> None:
    with pytest.raises(ConfigError):
        with_device(text, "press", TABLE, replace=False)


@pytest.mark.parametrize("place", ["plant", "a b/c", "a/b/c/d/e/f/g/h", "", "a//b"])
def test_a_place_where_no_point_can_be_is_refused(place: str) -> None:
    if place == "plant":
        assert check_place(place) == place
        return
    with pytest.raises(ConfigError):
        check_place(place)


def test_addresses_mean_protocol_host_port_and_settings() -> None:
    target = parse("modbus://10.0.0.7/3?area=input&first=5&last=9")
    assert (target.protocol, target.host, target.port) == ("modbus", "10.0.0.7", 502)
    assert target.settings == {"host": "10.0.0.7", "port": 502, "unit": 3}
    assert (target.area, target.registers) == ("input", (5, 9))
    assert parse("modbus://h:1502").settings["unit"] == 1
    assert parse("modbus://h/0").settings["unit"] == 0
    mqtt = parse("mqtt://broker")
    assert mqtt.settings == {"host": "broker", "port": 1883}
    opcua = parse("opc.tcp://h:4841/path")
    assert (opcua.protocol, opcua.port) == ("opcua", 4841)
    assert opcua.settings == {"url": "opc.tcp://h:4841/path"}


@pytest.mark.parametrize(
    "address",
    [
        "",
        "10.0.0.7",
        "http://10.0.0.7:80",
        "modbus://",
        "modbus://h:port",
        "modbus://h:99999",
        "modbus://[::1",
        "modbus://h/one",
        "modbus://h?first=9&last=1",
        "modbus://h?first=-1",
        "modbus://h?form=input",
        "modbus://h?area=colour",
        "modbus-rtu://",
        "modbus-rtu://host/dev/ttyUSB0",
        "modbus-rtu:///dev/ttyUSB0?unit=one&bud=9600",
        "modbus-rtu-tcp://",
    ],
)
def test_what_is_no_address_is_answered_with_one(address: str) -> None:
    with pytest.raises(ConfigError):
        parse(address)


@given(st.text(max_size=40))
def test_random_text_is_an_address_or_a_wrong_one(text: str) -> None:
    for address in (text, f"modbus://{text}", f"opc.tcp://h/{text}"):
        try:
            target = parse(address)
        except LineshaftError:
            continue
        assert target.host


def test_wrong_settings_in_an_address_are_told_by_name() -> None:
    with pytest.raises(ConfigError, match="unit: "):
        open_settings(parse("modbus://h/999"))


def test_an_address_of_a_serial_line_holds_what_its_table_needs() -> None:
    target = parse("modbus-rtu:///dev/ttyUSB0?unit=3&baud=9600&parity=none&last=5")
    assert (target.protocol, target.where) == ("modbus", "/dev/ttyUSB0")
    line = {"serial": "/dev/ttyUSB0", "unit": 3, "baud": 9600, "parity": "none"}
    assert target.settings == line
    assert (target.area, target.registers) == ("holding", (0, 5))
    _, settings = open_settings(target)
    assert settings.model_dump()["parity"] == "none"


def test_an_address_of_a_device_server_asks_for_rtu_frames() -> None:
    target = parse("modbus-rtu-tcp://10.0.0.7:4001/2")
    assert (target.host, target.port) == ("10.0.0.7", 4001)
    assert target.settings["framing"] == "rtu"
    assert target.settings["unit"] == 2
