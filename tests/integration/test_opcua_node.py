"""The OPC UA driver against node-opcua, a server that was not written here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lineshaft.core.errors import LineshaftError, Refused, Unreachable
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Quality, Status, Value, bad
from lineshaft.network.device import Batch
from lineshaft.network.drivers.opcua import driver
from lineshaft.network.drivers.opcua.session import open_session
from support.opcua_keys import Keys
from support.opcua_peer import NodeServer, open_server, point_of

WITHIN_S = 40.0
MOMENT_US = 1_767_323_045_678_000
SCALARS: dict[str, Value] = {
    "Boolean": False,
    "SByte": -100,
    "Byte": 200,
    "Int16": -30_000,
    "UInt16": 60_000,
    "Int32": -2_000_000_000,
    "UInt32": 4_000_000_000,
    "Int64": 0x7FFF_FFFF_FFFF_FFFF,
    "UInt64": 0xFFFF_FFFF_FFFF_FFFE,
    "Float": 1.5,
    "Double": -2.25,
    "String": "grün",
    "DateTime": "2026-01-02T03:04:05.678000Z",
    "ByteString": "00ff",
    "Guid": "12345678-1234-5678-1234-567812345678",
    "LocalizedText": "open",
}
Heard = dict[int, tuple[Value | None, int, Status]]


@pytest.fixture
async def server() -> AsyncIterator[NodeServer]:
    async with open_server() as running:
        yield running


def settings_of(server: NodeServer, **more: object) -> driver.Settings:
    told = {"url": server.url, "publishing_interval_s": 0.05, "timeout_s": 3.0, **more}
    return driver.Settings.model_validate(told)


def columns(batch: Batch) -> list[tuple[int, Value | None, int, Status]]:
    return list(
        zip(batch.points, batch.values, batch.times, batch.statuses, strict=True)
    )


async def hear(device: object, count: int) -> Heard:
    """Return the first thing that each of the first `count` points says."""
    heard: Heard = {}
    if isinstance(device, driver.PolledServer):
        batch = await device.read(range(count))
        return {point: (value, at, how) for point, value, at, how in columns(batch)}
    assert isinstance(device, driver.HeardServer)
    async with asyncio.timeout(WITHIN_S):
        async for batch in device.listen():
            for point, value, at, how in columns(batch):
                heard.setdefault(point, (value, at, how))
            if len(heard) >= count:
                return heard
    raise AssertionError("the stream ended")


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_every_type_of_value_keeps_its_source_time(
    server: NodeServer, mode: str
) -> None:
    points = [point_of(name) for name in SCALARS]
    async with driver.connect(settings_of(server, mode=mode), points) as device:
        heard = await hear(device, len(points))
    values = {name: heard[n][0] for n, name in enumerate(SCALARS)}
    assert values == SCALARS
    assert {type(value) for value in values.values()} == {bool, int, float, str}
    assert {at for _, at, _ in heard.values()} == {MOMENT_US}


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_what_cannot_be_a_reading_is_bad_with_the_reason_and_harms_nobody(
    server: NodeServer, mode: str
) -> None:
    points = [
        point_of("Double"),
        point_of("Absent"),
        point_of("Array"),
        Point(name="a/structure", address="i=2260"),
        Point(name="a/elsewhere", address="nsu=urn:nowhere;s=X"),
        Point(name="a/outside", address="ns=77;s=X"),
        point_of("Int32", Kind.INT),
    ]
    async with driver.connect(settings_of(server, mode=mode), points) as device:
        heard = await hear(device, len(points))
    qualities = [heard[n][2].quality for n in range(len(points))]
    assert qualities == [Quality.GOOD, *[Quality.BAD] * 5, Quality.GOOD]
    reasons = [heard[n][2].reason for n in range(1, 6)]
    for reason, word in zip(
        reasons,
        ["BadNodeId", "array of 3", "structure", "urn:nowhere", "number 77"],
        strict=True,
    ):
        assert word in reason


async def test_status_codes_become_qualities_with_their_name(
    server: NodeServer,
) -> None:
    async with driver.connect(settings_of(server), [point_of("Double")]) as device:
        assert isinstance(device, driver.HeardServer)
        stream = device.listen()
        await anext(stream)
        for code, quality in (
            ("UncertainLastUsableValue", Quality.UNCERTAIN),
            ("BadSensorFailure", Quality.BAD),
            ("Good", Quality.GOOD),
        ):
            await server.tell("set", name="Double", value=1, status=code)
            async with asyncio.timeout(WITHIN_S):
                while not (batch := await anext(stream)).points:
                    pass
            assert batch.statuses[-1].quality is quality
            assert quality is Quality.GOOD or code in batch.statuses[-1].reason


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_long_lists_are_split_to_the_limits_of_the_server(mode: str) -> None:
    limits = {
        "maxNodesPerRead": 100,
        "maxNodesPerBrowse": 50,
        "maxMonitoredItemsPerCall": 100,
    }
    async with open_server(more=2000, limits=limits) as server:
        points = [point_of(f"More{n}", Kind.INT) for n in range(2000)]
        settings = settings_of(server, mode=mode)
        async with driver.connect(settings, points) as device:
            heard = await hear(device, len(points))
    assert [heard[n][0] for n in range(2000)] == list(range(2000))


async def test_more_items_than_a_subscription_may_have_go_to_further_ones() -> None:
    async with open_server(more=90, mostItems=40) as server:
        points = [point_of(f"More{n}", Kind.INT) for n in range(90)]
        async with driver.connect(settings_of(server), points) as device:
            heard = await hear(device, len(points))
            opened = await server.tell("open")
    assert [heard[n][0] for n in range(90)] == list(range(90))
    assert opened == {"sessions": 1, "subscriptions": 3}


async def test_changes_between_two_messages_arrive_all_and_in_order(
    server: NodeServer,
) -> None:
    points = [point_of("Double", period_s=0.0)]
    settings = settings_of(server, publishing_interval_s=1.5, queue_size=100)
    async with driver.connect(settings, points) as device:
        assert isinstance(device, driver.HeardServer)
        stream = device.listen()
        await anext(stream)
        await server.tell("burst", name="Double", count=25, pause=120)
        batches: list[list[Value | None]] = []
        async with asyncio.timeout(WITHIN_S):
            while sum(map(len, batches)) < 25:
                batches.append((await anext(stream)).values)
    heard = [value for batch in batches for value in batch]
    assert heard == [float(n) for n in range(1, 26)]
    assert max(map(len, batches)) > 1


async def test_under_load_no_point_goes_backwards_and_all_end_where_the_server_is() -> (
    None
):
    async with open_server(count=1500, hz=10) as server:
        points = [point_of(f"V{n}") for n in range(1500)]
        async with driver.connect(settings_of(server), points) as device:
            assert isinstance(device, driver.HeardServer)
            await server.tell("begin")
            last = [-1.0] * len(points)
            turns = 0.0
            async with asyncio.timeout(WITHIN_S):
                async for batch in device.listen():
                    for point, value in zip(batch.points, batch.values, strict=True):
                        assert isinstance(value, float)
                        assert value > last[point]
                        last[point] = value
                    if not turns and max(last) >= 20:
                        ended = await server.tell("end")
                        assert isinstance(ended, dict)
                        turns = float(ended["turns"])
                    if turns and min(last) == turns:
                        break
    assert set(last) == {turns}


async def test_the_server_itself_holds_back_what_is_within_the_deadband(
    server: NodeServer,
) -> None:
    # 2 of the scaled value are 20 of the raw one; a text has no deadband.
    points = [
        point_of("Oven", deadband=2.0, scale=0.1),
        point_of("Double"),
        point_of("String", Kind.FLOAT, deadband=2.0),
    ]
    async with driver.connect(settings_of(server), points) as device:
        assert isinstance(device, driver.HeardServer)
        stream = device.listen()
        heard: list[tuple[int, Value | None]] = []
        async with asyncio.timeout(WITHIN_S):
            while len(heard) < 3:
                batch = await anext(stream)
                heard += zip(batch.points, batch.values, strict=True)
            for value in (185.0, 199.0, 201.0):
                await server.tell("set", name="Oven", value=value)
                await server.tell("set", name="Double", value=value)
                while (1, value) not in heard:
                    batch = await anext(stream)
                    heard += zip(batch.points, batch.values, strict=True)
            while (0, 201.0) not in heard:
                batch = await anext(stream)
                heard += zip(batch.points, batch.values, strict=True)
    assert [value for point, value in heard if point == 0] == [180.0, 201.0]
    assert (2, "grün") in heard


async def listen_until_it_fails(device: object) -> None:
    assert isinstance(device, driver.HeardServer)
    async with asyncio.timeout(WITHIN_S):
        async for _ in device.listen():
            pass


async def test_a_subscription_that_the_server_dropped_is_noticed(
    server: NodeServer,
) -> None:
    async with driver.connect(settings_of(server), [point_of("Double")]) as device:
        await hear(device, 1)
        assert await server.tell("drop") == 1
        with pytest.raises(Unreachable, match="OPC UA"):
            await listen_until_it_fails(device)


async def test_a_server_that_stops_to_keep_alive_is_noticed(
    server: NodeServer,
) -> None:
    settings = settings_of(server, timeout_s=1.0)
    async with driver.connect(settings, [point_of("Double")]) as device:
        await hear(device, 1)
        server.freeze()
        with pytest.raises(Unreachable, match="keep"):
            await listen_until_it_fails(device)


async def test_names_of_namespaces_find_the_node_after_their_numbers_changed(
    server: NodeServer,
) -> None:
    settings = settings_of(server)
    points = [point_of("Double"), Point(name="a/numbered", address="ns=2;s=Double")]
    async with driver.connect(settings, points) as device:
        before = await hear(device, 2)
        await server.stop()
        with pytest.raises(Unreachable):
            await listen_until_it_fails(device)
    server.options["padding"] = 3
    await server.start()
    async with driver.connect(settings, points) as device:
        after = await hear(device, 2)
    assert [before[n][0] for n in (0, 1)] == [-2.25, -2.25]
    assert [after[n][0] for n in (0, 1)] == [-2.25, -2.25]


async def test_the_session_and_its_subscriptions_are_given_back(
    server: NodeServer,
) -> None:
    for mode in ("subscribe", "poll"):
        settings = settings_of(server, mode=mode)
        async with driver.connect(settings, [point_of("Double")]) as device:
            await hear(device, 1)
            opened = await server.tell("open")
            assert isinstance(opened, dict)
            assert opened["sessions"] == 1
        assert await server.tell("open") == {"sessions": 0, "subscriptions": 0}


async def test_a_session_that_is_idle_for_long_is_still_there(
    server: NodeServer,
) -> None:
    async with open_session(settings_of(server), life_s=2.0) as session:
        await asyncio.sleep(6.0)  # three times as long as the server would wait
        await session.explore()
        opened = await server.tell("open")
    assert isinstance(opened, dict)
    assert opened["sessions"] == 1


async def test_a_namespace_that_was_lacking_is_found_when_it_comes(
    server: NodeServer,
) -> None:
    late = Point(name="a/late", address="nsu=urn:late;s=Late")
    settings = settings_of(server)
    async with driver.connect(settings, [point_of("Double"), late]) as device:
        heard = await hear(device, 2)
        assert heard[0][2].quality is Quality.GOOD
        assert heard[1][2] == bad("the server has no namespace urn:late")

    async def register_while_listening() -> None:
        async with driver.connect(settings, [point_of("Double"), late]) as device:
            await server.tell("register", name="urn:late")
            await listen_until_it_fails(device)

    with pytest.raises(Unreachable, match="new namespaces"):
        await register_while_listening()
    async with driver.connect(settings, [point_of("Double"), late]) as device:
        heard = await hear(device, 2)
        assert heard[1][2] == bad("OPC UA BadNodeIdUnknown")


async def connect_and_leave(settings: driver.Settings) -> None:
    async with driver.connect(settings, [point_of("Double")]):
        pass


@asynccontextmanager
async def open_fool(words: bytes) -> AsyncIterator[driver.Settings]:
    """A server that says something whatever it is asked, and then listens only."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        while await reader.read(1024):
            pass
        writer.close()
        await writer.wait_closed()
        ended.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as fool:
        port = fool.sockets[0].getsockname()[1]
        yield driver.Settings(url=f"opc.tcp://127.0.0.1:{port}", timeout_s=0.5)
        async with asyncio.timeout(WITHIN_S):
            await ended.wait()


async def test_a_server_that_accepts_and_never_answers_is_unreachable() -> None:
    async with open_fool(b"") as settings:
        with pytest.raises(Unreachable, match="did not answer"):
            await connect_and_leave(settings)


@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 99])
async def test_a_server_that_answers_garbage_is_unreachable(words: bytes) -> None:
    async with open_fool(words) as settings:
        with pytest.raises(Unreachable):
            await connect_and_leave(settings)


async def test_a_write_is_converted_to_the_type_of_the_node(
    server: NodeServer,
) -> None:
    wanted: dict[str, Value] = {
        "Boolean": True,
        "Byte": 7.0,
        "Int16": -5,
        "UInt32": 4_000_000_001,
        "Float": 3,
        "Double": 2,
        "String": "auf",
        "DateTime": "2026-11-23T06:00:00Z",
        "LocalizedText": "shut",
        "ByteString": "a0ff",
        "Int64": -9,
    }
    points = [point_of(name) for name in wanted]
    settings = settings_of(server, mode="poll")
    async with driver.connect(settings, points) as device:
        for position, value in enumerate(wanted.values()):
            await device.write(position, value)
        heard = await hear(device, len(points))
    told = {name: heard[n][0] for n, name in enumerate(wanted)}
    assert told == {**wanted, "DateTime": "2026-11-23T06:00:00.000000Z"}


@pytest.mark.parametrize(
    ("node", "value", "reason"),
    [
        ("ReadOnly", 1.0, "BadNotWritable"),
        ("Byte", 300, "within"),
        ("Int32", 1.5, "whole"),
        ("Boolean", "yes", "true"),
        ("Float", 1e300, "too large"),
        ("DateTime", "yesterday", "DateTime"),
        ("Array", 1.0, "array"),
        ("Absent", 1.0, "BadNodeId"),
    ],
)
async def test_a_write_that_cannot_be_is_refused_with_the_reason(
    server: NodeServer, node: str, value: Value, reason: str
) -> None:
    async with driver.connect(settings_of(server), [point_of(node)]) as device:
        with pytest.raises(Refused, match=reason):
            await device.write(0, value)


async def test_browsing_tells_unit_type_value_and_whether_it_can_be_written() -> None:
    limits = {"maxNodesPerRead": 20, "maxNodesPerBrowse": 5}
    async with open_server(more=1500, limits=limits) as server:
        async with driver.open_browser(settings_of(server)) as browser:
            found = [one async for one in browser.browse()]
    by_name = {one.path[-1]: one for one in found}
    assert len(by_name) == len(found)
    oven = by_name["Oven"]
    assert oven.address == "nsu=urn:lineshaft:peer;s=Oven"
    assert (oven.path, oven.type, oven.value) == (("Peer", "Oven"), Kind.FLOAT, 180.0)
    assert (oven.unit, oven.description) == ("°C", "Temperature of the oven")
    assert oven.writable
    assert not by_name["ReadOnly"].writable
    assert by_name["Array"].type == ""
    assert sum(name.startswith("More") for name in by_name) == 1500


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def locked(keys: Keys) -> AsyncIterator[NodeServer]:
    """A server that wants a user name."""
    async with open_server(
        password="open sesame",
        certificate=keys.path("theirs.pem"),
        key=keys.path("theirs.key"),
    ) as running:
        yield running


def secured(server: NodeServer, keys: Keys, **more: object) -> driver.Settings:
    told: dict[str, object] = {
        "certificate": keys.path("ours.pem"),
        "private_key": keys.path("ours.key"),
        "server_certificate": keys.path("theirs.pem"),
        "user": "operator",
        "password": "open sesame",
        "timeout_s": 10.0,
    }
    return settings_of(server, **{**told, **more})


@pytest.mark.parametrize("security", ["sign", "sign-and-encrypt"])
async def test_a_secured_session_hears_and_writes(
    locked: NodeServer, keys: Keys, security: str
) -> None:
    settings = secured(locked, keys, security=security)
    async with driver.connect(settings, [point_of("Double")]) as device:
        assert (await hear(device, 1))[0][0] == -2.25
        await device.write(0, 6.5)
        assert await locked.tell("get", name="Double") == 6.5


async def test_a_wrong_password_is_refused_and_says_so(
    locked: NodeServer, keys: Keys
) -> None:
    settings = secured(locked, keys, security="sign-and-encrypt", password="wrong")
    with pytest.raises(Refused, match=r"does not accept the user.*password"):
        await connect_and_leave(settings)


async def test_a_server_with_another_certificate_is_not_trusted(
    locked: NodeServer, keys: Keys
) -> None:
    other = keys.path("others.pem")
    settings = secured(
        locked, keys, security="sign-and-encrypt", server_certificate=other
    )
    with pytest.raises(LineshaftError):
        await connect_and_leave(settings)
    assert await locked.tell("open") == {"sessions": 0, "subscriptions": 0}


async def test_a_password_travels_in_the_clear_only_where_that_is_allowed(
    locked: NodeServer,
) -> None:
    settings = settings_of(
        locked, user="operator", password="open sesame", allow_plain_password=True
    )
    async with driver.connect(settings, [point_of("Double")]) as device:
        assert (await hear(device, 1))[0][0] == -2.25


async def test_a_user_is_known_by_a_certificate_and_a_stranger_is_refused(
    keys: Keys,
) -> None:
    async with open_server(
        userCertificate=keys.path("ours.pem"),
        certificate=keys.path("theirs.pem"),
        key=keys.path("theirs.key"),
    ) as server:
        nobody = {"user": "", "password": "", "security": "sign-and-encrypt"}
        for name, is_known in (("ours", True), ("others", False)):
            settings = secured(
                server,
                keys,
                **nobody,
                user_certificate=keys.path(f"{name}.pem"),
                user_private_key=keys.path(f"{name}.key"),
            )
            if is_known:
                async with driver.connect(settings, [point_of("Double")]) as device:
                    assert (await hear(device, 1))[0][0] == -2.25
            else:
                with pytest.raises(Refused, match="does not accept the user"):
                    await connect_and_leave(settings)
        with pytest.raises(Refused):
            await connect_and_leave(secured(server, keys, **nobody))
