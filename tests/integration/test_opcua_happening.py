"""Events, alarms and methods of node-opcua, a server that was not written here."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from lineshaft.core.errors import Refused
from lineshaft.core.event import Severity
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Quality, Value
from lineshaft.network.device import Occurrence
from lineshaft.network.drivers.opcua import driver
from support.opcua_peer import NAMESPACE, NodeServer, open_server, point_of

WITHIN_S = 40.0
PRESS = f"nsu={NAMESPACE};s=Press"


@pytest.fixture
async def server() -> AsyncIterator[NodeServer]:
    async with open_server(tank=True) as running:
        yield running


def settings_of(server: NodeServer, **more: object) -> driver.Settings:
    told = {"url": server.url, "publishing_interval_s": 0.05, "timeout_s": 5.0, **more}
    return driver.Settings.model_validate(told)


def method_of(name: str, kind: Kind = Kind.FLOAT) -> Point:
    address = f"method:{PRESS}|{PRESS}.{name}"
    return Point(name=f"a/{name}", address=address, type=kind, writable=True)


async def take(happening: AsyncIterator[Occurrence], count: int) -> list[Occurrence]:
    async with asyncio.timeout(WITHIN_S):
        return [await anext(happening) for _ in range(count)]


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_an_event_is_announced_with_source_time_and_severity(
    server: NodeServer, mode: str
) -> None:
    settings = settings_of(server, mode=mode, events=["server"])
    async with driver.connect(settings, [point_of("Double")]) as device:
        happening = device.announce()
        for severity in (100, 400, 900):
            await server.tell("happen", message="the door", severity=severity)
        said = await take(happening, 3)
    assert [one.severity for one in said] == [
        Severity.INFO,
        Severity.WARNING,
        Severity.ERROR,
    ]
    assert {(one.source, one.text, one.is_alarm) for one in said} == {
        ("Tank", "the door", False)
    }
    assert said[0].detail["source_node"] == f"nsu={NAMESPACE};s=Tank"
    assert len({one.id for one in said}) == 3
    assert said[0].time_us > 1_700_000_000_000_000


async def test_an_alarm_tells_its_states_and_is_acknowledged_by_a_method(
    server: NodeServer,
) -> None:
    alarm = f"nsu={NAMESPACE};s=Tank.LevelAlarm"
    acknowledge = Point(
        name="a/ack", address=f"method:{alarm}|i=9111", type=Kind.STRING, writable=True
    )
    settings = settings_of(server, events=["server"])
    async with driver.connect(settings, [acknowledge]) as device:
        happening = device.announce()
        await server.tell("level", value=0.95)
        async with asyncio.timeout(WITHIN_S):
            raised = await anext(happening)
            while raised.detail.get("active") is not True:
                raised = await anext(happening)
            event = raised.detail["event_id"]
            await device.write(0, f'["{event}", "seen"]')
            seen = await anext(happening)
            while seen.detail.get("acknowledged") is not True:
                seen = await anext(happening)
            await server.tell("level", value=0.5)
            over = await anext(happening)
            while over.detail.get("active") is not False:
                over = await anext(happening)
    assert raised.is_alarm
    assert raised.detail["condition"] == alarm
    assert raised.detail["condition_name"] == "LevelAlarm"
    assert raised.detail["acknowledged"] is False
    assert seen.detail["comment"] == "seen"
    assert over.severity is Severity.INFO
    assert await server.tell("acknowledged") is True


async def test_an_alarm_that_stands_is_announced_after_connecting(
    server: NodeServer,
) -> None:
    await server.tell("level", value=0.95)
    settings = settings_of(server, events=["server"])
    told: list[Occurrence] = []
    for _ in range(2):
        async with driver.connect(settings, [point_of("Double")]) as device:
            happening = device.announce()
            told += await take(happening, 1)
    assert all(one.is_alarm and one.detail["active"] for one in told)
    assert told[0].detail["refreshed"] is True
    assert told[0].id == told[1].id


async def test_many_events_at_once_are_all_announced_in_order(
    server: NodeServer,
) -> None:
    settings = settings_of(server, events=[f"nsu={NAMESPACE};s=Tank"])
    async with driver.connect(settings, [point_of("Double")]) as device:
        happening = device.announce()
        await server.tell("happen", message="number", severity=1, count=600)
        said = await take(happening, 600)
    assert [one.text for one in said] == [f"number {n}" for n in range(600)]
    assert len({one.id for one in said}) == 600


async def test_a_notifier_that_there_is_not_harms_nobody(server: NodeServer) -> None:
    events = [f"nsu={NAMESPACE};s=Nowhere", "nsu=urn:none;s=X", "server"]
    settings = settings_of(server, events=events)
    async with driver.connect(settings, [point_of("Double")]) as device:
        happening = device.announce()
        said = await take(happening, 2)
        await server.tell("happen", message="the door", severity=1)
        [event] = await take(happening, 1)
    assert [one.source for one in said] == events[:2]
    assert {one.severity for one in said} == {Severity.WARNING}
    assert event.text == "the door"


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_a_method_is_called_and_its_answer_is_its_value(
    server: NodeServer, mode: str
) -> None:
    points = [
        method_of("Start", Kind.BOOL),
        method_of("SetSpeed"),
        method_of("Load", Kind.STRING),
    ]
    async with driver.connect(settings_of(server, mode=mode), points) as device:
        before = await hear(device, {0, 1, 2}, Quality.BAD)
        answers = [
            await device.write(0, True),
            await device.write(1, 80.0),
            await device.write(2, '["bolts", 3, [1.5, 2]]'),
        ]
        after = await hear(device, {0, 1, 2}, Quality.GOOD)
    assert set(before) == {0, 1, 2}
    assert answers == ["", "[12.5]", '["bolts-1", 6]']
    assert after == {0: True, 1: 12.5, 2: '["bolts-1", 6]'}
    assert await server.tell("calls") == [
        ["Start", []],
        ["SetSpeed", [80]],
        ["Load", ["bolts", 3, [1.5, 2]]],
    ]


async def hear(
    device: object, points: set[int], quality: Quality
) -> dict[int, Value | None]:
    """Return the values of these points as soon as all have that quality."""
    heard: dict[int, Value | None] = {}
    async with asyncio.timeout(WITHIN_S):
        while set(heard) < points:
            if isinstance(device, driver.PolledServer):
                batch = await device.read(sorted(points))
            else:
                assert isinstance(device, driver.HeardServer)
                batch = await anext(device.listen())
            rows = zip(batch.points, batch.values, batch.statuses, strict=True)
            heard |= {
                point: value
                for point, value, status in rows
                if point in points and status.quality is quality
            }
    return heard


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SetSpeed", 101.0, "BadOutOfRange"),
        ("SetSpeed", "fast", "JSON"),
        ("SetSpeed", True, "argument Speed"),
        ("Load", '["bolts", 70000, []]', "argument Count.*within"),
        ("Load", '["bolts", 1]', "3 arguments: Recipe .String., Count"),
        ("Load", 1.0, "JSON list"),
        ("Start", 7.0, "no argument"),
        ("Stop", True, "BadNodeId|BadMethodInvalid"),
    ],
)
async def test_a_call_that_cannot_be_is_refused_with_the_reason(
    server: NodeServer, name: str, value: Value, reason: str
) -> None:
    async with driver.connect(settings_of(server), [method_of(name)]) as device:
        with pytest.raises(Refused, match=reason):
            await device.write(0, value)
    calls = await server.tell("calls")
    assert calls in ([], [["SetSpeed", [101]]])


PATHS = [
    Point(name="a/1", address="path:/Objects/2:Peer/2:Double"),
    Point(name="a/2", address=f"nsu={NAMESPACE};path:/Objects/Peer/Double"),
    Point(name="a/3", address="path:/Objects/2:Peer/2:Nothing"),
    Point(name="a/4", address="nsu=urn:none;path:/Objects/Peer"),
    Point(name="a/5", address=f"nsu={NAMESPACE};path:/Objects/Peer/Shelf/Peer/Int32"),
]


async def test_paths_lead_to_nodes_whatever_number_their_namespace_has(
    server: NodeServer,
) -> None:
    settings = settings_of(server)
    server.options["limits"] = {"maxNodesPerTranslateBrowsePathsToNodeIds": 2}
    for padding in (0, 2):
        server.options["padding"] = padding
        await server.stop()
        await server.start()
        async with driver.connect(settings, PATHS) as device:
            good = await hear(device, {0, 1, 4}, Quality.GOOD)
        async with driver.connect(settings, PATHS) as device:
            missing = await hear(device, {2, 3}, Quality.BAD)
        assert good == {0: -2.25, 1: -2.25, 4: -2_000_000_000}
        assert set(missing) == {2, 3}


async def test_a_method_is_found_by_its_path(server: NodeServer) -> None:
    address = "method:path:/Objects/2:Press/2:SetSpeed"
    point = Point(name="a/speed", address=address, writable=True)
    async with driver.connect(settings_of(server), [point]) as device:
        assert await device.write(0, 5) == "[12.5]"


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_an_element_of_an_array_is_a_point_of_its_own(
    server: NodeServer, mode: str
) -> None:
    zones = f"nsu={NAMESPACE};s=Press.Zones[7]"
    points = [
        Point(name=f"a/{n}", address=f"[{n}]{zones}", writable=True) for n in range(4)
    ]
    async with driver.connect(settings_of(server, mode=mode), points) as device:
        assert await hear(device, {0, 1, 2}, Quality.GOOD) == {0: 10, 1: 20, 2: 30}
    async with driver.connect(settings_of(server, mode=mode), points) as device:
        assert set(await hear(device, {3}, Quality.BAD)) == {3}
        await device.write(1, 25)
        while (await hear(device, {1}, Quality.GOOD))[1] != 25:
            pass
    assert await server.tell("zonesNow") == [10, 25, 30]
