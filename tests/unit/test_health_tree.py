"""The health tree: each part is as well as what it stands on, and says why."""

from collections.abc import Iterator

import pytest

from lineshaft.core.health import Health, State
from lineshaft.core.process.pulse import RECENTLY_S, Roll
from lineshaft.web.health.tree import room_of, tree
from lineshaft.web.shapes import HealthNode, ServiceHealth
from support.bus_in_memory import BusInMemory

OK, DEGRADED, DOWN = State.OK, State.DEGRADED, State.DOWN
SINCE = "2026-01-31T08:00:00.000000Z"


def service(name: str, state: State = OK, reason: str = "") -> ServiceHealth:
    code = "LS-2102" if state is not OK else ""
    return ServiceHealth(name, state, reason, SINCE, SINCE, {"n": 1}, code)


def below(node: HealthNode) -> Iterator[HealthNode]:
    yield node
    for child in node.children:
        yield from below(child)


def named(root: HealthNode, kind: str, name: str) -> HealthNode:
    [found] = [n for n in below(root) if (n.kind, n.name) == (kind, name)]
    return found


def test_a_plant_has_rooms_devices_and_connections() -> None:
    names = ["bus", "collector.m/u1", "collector.m/u2", "collector.press", "historian"]
    names += ["outbox", "process.collector", "process.web", "supervisor", "web"]
    root = tree("Osaka", [service(name) for name in names])
    rooms = [room.name for room in root.children]
    assert rooms == ["bus", "network", "platform", "supervisor", "web"]
    assert [n.name for n in named(root, "device", "m").children] == names[1:3]
    assert all(node.state is OK and not node.because for node in below(root))
    assert named(root, "connection", "collector.press").figures == {"n": 1}


def test_every_part_says_because_of_which_leaf_it_is_so_and_since_when() -> None:
    root = tree(
        "Osaka", [service("web"), service("collector.m/u2", DEGRADED, "no answer")]
    )
    for node in (root, named(root, "room", "network"), named(root, "device", "m")):
        assert node.state is DEGRADED
        assert node.because == "collector.m/u2: no answer"
        assert (node.since, node.code) == (SINCE, "LS-2102")
    assert named(root, "room", "web").because == ""


def test_a_device_is_down_only_when_all_its_connections_are() -> None:
    one, other = service("collector.m/a", DOWN, "gone"), service("collector.m/b")
    half = named(tree("", [one, other]), "device", "m")
    assert (half.state, half.because) == (DEGRADED, "collector.m/a: gone")
    assert named(tree("", [one]), "device", "m").state is DOWN


def test_machines_that_are_away_do_not_take_the_plant_down() -> None:
    root = tree("", [service("collector.m", DOWN, "gone"), service("outbox")])
    assert named(root, "device", "m").state is DOWN
    assert root.state is DEGRADED


@pytest.mark.parametrize("name", ["historian", "bus", "outbox", "web", "north.mes"])
def test_a_room_that_is_down_takes_the_plant_down(name: str) -> None:
    machine = service("collector.a", DEGRADED, "slow")
    root = tree("", [machine, service(name, DOWN, "no sign of life")])
    assert (root.state, root.because) == (DOWN, f"{name}: no sign of life")


def test_what_is_not_known_is_a_room_of_its_own() -> None:
    assert room_of("north.mes") == "north"
    assert room_of("process.north") == "north"


def test_a_program_that_was_started_again_is_told_for_a_minute() -> None:
    roll = Roll(BusInMemory(), 3)
    assert roll.health(0.0).state is OK
    roll.note("historian", -9)
    roll.note("historian", -9)
    import time

    now = time.monotonic()
    told = roll.health(now)
    assert (told.state, told.code) == (DEGRADED, "LS-1019")
    assert "historian ended with code -9" in told.reason
    assert told.tables == {"restarts": {"historian": 2}}
    later: Health = roll.health(now + RECENTLY_S + 1)
    assert (later.state, later.reason, later.code) == (OK, "", "")
