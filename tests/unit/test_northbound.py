"""What is told to programs above the plant, and what is not."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.command import Outcome, Verdict
from lineshaft.core.errors import ConfigError, Unreachable
from lineshaft.core.frame import Columns, Frame, encode_frame, pack_values
from lineshaft.core.health import Health, State
from lineshaft.core.point import Kind, Point
from lineshaft.core.process.tasks import beside
from lineshaft.core.reading import GOOD, Quality, Reading, Value, bad, uncertain
from lineshaft.network.northbound.mirror import NOT_YET, Mirror, Said, Served
from lineshaft.network.northbound.mqtt import payload
from lineshaft.network.northbound.opcua.units import engineering_units
from lineshaft.network.northbound.opcua.values import data_value, status_of, value_of
from lineshaft.settings import load
from support.bus_in_memory import BusInMemory
from support.frames import frame

SERVED = [
    Served(Point(name="acme/press/oil", address="1", unit="bar"), "plc"),
    Served(Point(name="acme/press/count", address="2", type=Kind.INT), "plc"),
]
NOW_US = time.time_ns() // 1000


class Lasts:
    def __init__(self, *readings: Reading) -> None:
        self.readings = list(readings)

    async def last(self, pattern: str) -> Frame:
        rows = [(r.name, r.time_us, r.value) for r in self.readings]
        return frame(rows, statuses=[r.status for r in self.readings])


class Absent:
    async def last(self, pattern: str) -> Frame:
        raise Unreachable("the historian does not answer")


def frame_of(device: str, name: str, value: Value, time_us: int) -> Frame:
    import numpy as np

    kind, bits, texts = pack_values([value])
    columns = Columns(
        np.zeros(1, np.uint32),
        np.array([time_us], np.int64),
        kind,
        bits,
        np.zeros(1, np.uint16),
    )
    return Frame(device, "e", 1, (name,), ("bar",), texts, (GOOD,), columns)


def alive(bus: BusInMemory) -> None:
    told = Health(service="collector.plc", state=State.OK, since_us=1)
    bus.tell("status.collector.plc", msgspec.json.encode(told))


@asynccontextmanager
async def mirrored(
    bus: BusInMemory, past: Lasts | Absent
) -> AsyncIterator[tuple[Mirror, list[Said]]]:
    heard: list[Said] = []
    mirror = Mirror(SERVED, bus, past)

    async def hear(news: Sequence[Said]) -> None:
        heard.extend(news)

    mirror.listen(hear)
    async with beside(mirror.run()):
        yield mirror, heard


async def test_the_mirror_begins_with_the_last_values_of_the_historian() -> None:
    bus = BusInMemory()
    past = Lasts(Reading("acme/press/oil", 4.5, GOOD, NOW_US, "bar"))
    async with mirrored(bus, past) as (mirror, heard):
        await bus.until(lambda: heard)
        assert mirror.everything()[0].value == 4.5
        assert mirror.everything()[1].status == NOT_YET


async def test_a_value_that_nobody_vouches_for_is_not_good() -> None:
    bus = BusInMemory()
    past = Lasts(Reading("acme/press/oil", 4.5, GOOD, NOW_US, "bar"))
    async with mirrored(bus, past) as (mirror, heard):
        await bus.until(lambda: heard)
        assert heard[0].status.quality is Quality.UNCERTAIN
        alive(bus)
        await bus.until(lambda: any(said.status == GOOD for said in heard))
        assert mirror.everything()[0] == Said(0, 4.5, GOOD, NOW_US)


async def test_a_device_is_alive_while_a_part_of_it_is_reached() -> None:
    bus = BusInMemory()

    def tell(part: str, state: State) -> None:
        service = f"collector.plc/{part}"
        told = Health(service=service, state=state, since_us=1)
        bus.tell(f"status.{service}", msgspec.json.encode(told))

    async with mirrored(bus, Absent()) as (mirror, _):
        assert not mirror.is_alive("plc")
        # Who tells before anybody listens is not heard, so it is told again.
        while not mirror.is_alive("plc"):
            tell("1", State.OK)
            tell("2", State.DOWN)
            await asyncio.sleep(0)
        tell("1", State.DOWN)
        await bus.until(lambda: not mirror.is_alive("plc"))
        tell("2", State.DEGRADED)
        await bus.until(lambda: mirror.is_alive("plc"))


async def test_readings_pass_in_order_and_old_ones_or_imports_do_not() -> None:
    bus = BusInMemory()
    async with mirrored(bus, Absent()) as (mirror, heard):
        await asyncio.sleep(0)
        alive(bus)
        for number, (device, value, at) in enumerate(
            [("plc", 1.0, 10), ("plc", 0.5, 5), ("import/x", 9.0, 99), ("plc", 2.0, 11)]
        ):
            frame = frame_of(device, "acme/press/oil", value, at)
            await bus.publish("readings.acme.press", encode_frame(frame), str(number))
        await bus.until(lambda: any(said.value == 2.0 for said in heard))
        passed = [said.value for said in heard if said.position == 0 and said.time_us]
        assert [value for value in (1.0, 0.5, 9.0, 2.0) if value in passed] == [1, 2]
        assert mirror.values == 2


def test_a_data_value_tells_type_status_and_source_time() -> None:
    good = data_value(Said(0, 4, GOOD, 1_000_000), Kind.INT)
    assert good.Value is not None
    assert (good.Value.Value, good.Value.VariantType) == (4, ua.VariantType.Int64)
    assert good.StatusCode is not None
    assert good.StatusCode.is_good()
    codes = ua.StatusCodes
    said = {
        codes.Bad: Said(0, None, bad("torn"), 1),
        codes.Uncertain: Said(0, 1.0, uncertain("drifts"), 1),
        codes.BadWaitingForInitialData: Said(0, None, NOT_YET, 0),
        codes.UncertainNoCommunicationLastUsableValue: Said(
            0, 1.0, uncertain("gone"), 1, is_stale=True
        ),
    }
    for code, each in said.items():
        status = data_value(each, Kind.FLOAT).StatusCode
        assert status is not None
        assert status.value == code


@given(st.sampled_from(list(Kind)), st.sampled_from(list(ua.VariantType)))
def test_only_a_value_of_the_type_of_its_point_is_taken(
    kind: Kind, variant: ua.VariantType
) -> None:
    values = {
        ua.VariantType.Boolean: True,
        ua.VariantType.String: "x",
        ua.VariantType.Double: 1.5,
        ua.VariantType.Int32: 7,
    }
    if variant not in values:
        return
    found = value_of(ua.Variant(values[variant], variant), kind)
    fits = {
        Kind.BOOL: {ua.VariantType.Boolean},
        Kind.STRING: {ua.VariantType.String},
        Kind.INT: {ua.VariantType.Int32},
        Kind.FLOAT: {ua.VariantType.Int32, ua.VariantType.Double},
    }
    assert (found is not None) == (variant in fits[kind])
    assert value_of(ua.Variant([1, 2], ua.VariantType.Int32), kind) is None


def test_the_verdict_of_the_device_is_the_status() -> None:
    codes = {
        Verdict.CONFIRMED: ua.StatusCodes.Good,
        Verdict.REFUSED: ua.StatusCodes.BadDeviceFailure,
        Verdict.UNKNOWN: ua.StatusCodes.BadTimeout,
    }
    for verdict, code in codes.items():
        assert status_of(Outcome(id="1", verdict=verdict)).value == code


def test_a_known_unit_has_its_unece_code_and_another_has_none() -> None:
    assert engineering_units("bar").UnitId == 0x424152
    assert engineering_units("pieces").UnitId == -1
    assert engineering_units("pieces").DisplayName.Text == "pieces"


def test_a_json_message_says_value_quality_time_unit_and_reason() -> None:
    told = msgspec.json.decode(payload(Said(0, 4.5, bad("torn"), 1_000_000), "bar"))
    assert told == {
        "value": 4.5,
        "quality": "bad",
        "reason": "torn",
        "time": "1970-01-01T00:00:01.000000Z",
        "unit": "bar",
    }
    unsayable = msgspec.json.decode(payload(Said(0, float("nan"), GOOD, 0), ""))
    assert unsayable["value"] is None
    assert unsayable["time"] is None


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[northbound.opcua]\nhost = "0.0.0.0"', "is not a loopback address"),
        ("[northbound.opcua]\nprot = 1", "did you mean 'port'?"),
        ('[northbound.mqtt]\nurl = "http://a"', "is not mqtt://host:port"),
        ('[northbound.mqtt]\nurl = "mqtt://u:p@a"', "user and password_file"),
        ('[northbound.mqtt]\nurl = "mqtt://a"\nprefix = "a/#"', "prefix"),
        ('[northbound.mqtt]\nurl = "mqtt://a"\nca_file = "x.pem"', "there is no file"),
        ("[northbound.mqtt]", "url: is missing"),
        ('[northbound.sparkplug]\nurl = "mqtt://a"\ngroup = "g"', "edge_node: is mis"),
        (
            '[northbound.sparkplug]\nurl = "mqtt://a"\ngroup = "a/b"\nedge_node = "e"',
            "group",
        ),
        (
            '[northbound.sparkplug]\nurl = "mqtt://a"\ngroup = "g"\nedge_node = "e"\n'
            'password_file = "x"',
            "there is no file",
        ),
        ("[northbound.mqqt]", "did you mean 'mqtt'?"),
    ],
)
def test_check_names_what_is_wrong_with_an_output(
    tmp_path: Path, table: str, said: str
) -> None:
    file = tmp_path / "lineshaft.toml"
    file.write_text(table + "\n")
    with pytest.raises(ConfigError, match=r"lineshaft\.toml:\d") as caught:
        load(file, tmp_path / "data")
    assert said in str(caught.value)


def test_a_password_does_not_travel_in_plain_to_another_machine(
    tmp_path: Path,
) -> None:
    (tmp_path / "secret").write_text("s\n")
    file = tmp_path / "lineshaft.toml"
    table = '[northbound.mqtt]\nurl = "{}"\npassword_file = "secret"\n'
    file.write_text(table.format("mqtt://192.0.2.1"))
    with pytest.raises(ConfigError, match="for all to read"):
        load(file, tmp_path / "data")
    file.write_text(table.format("mqtts://192.0.2.1"))
    assert load(file, tmp_path / "data").settings.northbound.services == [
        "northbound.mqtt"
    ]
