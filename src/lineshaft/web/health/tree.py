"""The plant as a tree of its parts, each as well as what it stands on.

A room is as its worst part that matters. A machine that is away makes its room
degraded and not down, for the others go on; with many connections it is down only if
all of them are. Every node says because of which leaf it is as it is.
"""

from collections.abc import Iterable, Sequence

from lineshaft.core.health import State
from lineshaft.web.shapes import HealthNode, ServiceHealth

_WORST = (State.OK, State.DEGRADED, State.DOWN)
_ROOM_OF = {
    "bus": "bus",
    "outbox": "network",
    "collector": "network",
    "historian": "platform",
    "web": "web",
    "supervisor": "supervisor",
}
_PROCESS_OF = {"collector": "network", "historian": "platform", "web": "web"}


def worst(states: Iterable[State]) -> State:
    """Return the worst of the states; OK if there are none."""
    return max(states, key=_WORST.index, default=State.OK)


def state_of_plant(services: Sequence[ServiceHealth]) -> State:
    """Return how a plant with these services is."""
    return _plant("", services).state


def tree(plant: str, services: Sequence[ServiceHealth]) -> HealthNode:
    """Return the plant with its rooms, devices and connections."""
    return _plant(plant, services)


def _plant(plant: str, services: Sequence[ServiceHealth]) -> HealthNode:
    rooms: dict[str, list[ServiceHealth]] = {}
    for service in services:
        rooms.setdefault(room_of(service.service), []).append(service)
    return _over(plant, "plant", [_room(*each) for each in sorted(rooms.items())])


def room_of(service: str) -> str:
    """Return the room of a service; one that we do not know is its own."""
    kind, _, rest = service.partition(".")
    if kind == "process":
        return _PROCESS_OF.get(rest, rest)
    return _ROOM_OF.get(kind, kind)


def _room(room: str, services: list[ServiceHealth]) -> HealthNode:
    devices: dict[str, list[ServiceHealth]] = {}
    parts: list[HealthNode] = []
    for service in services:
        kind, _, rest = service.service.partition(".")
        if kind == "collector":
            devices.setdefault(rest.partition("/")[0], []).append(service)
        else:
            parts.append(_leaf(service, "service"))
    parts += [_device(*each) for each in devices.items()]
    return _over(room, "room", parts)


def _device(name: str, connections: list[ServiceHealth]) -> HealthNode:
    """Return a machine; what is silent beside connections that speak is one too."""
    parts = [_leaf(each, "connection") for each in connections]
    node = _over(name, "device", parts)
    some = any(part.state is not State.DOWN for part in parts)
    if node.state is State.DOWN and some:
        return _as_bad_as(node, State.DEGRADED)
    return node


def _as_bad_as(node: HealthNode, state: State) -> HealthNode:
    return HealthNode(
        node.name,
        node.kind,
        state,
        node.because,
        node.code,
        node.since,
        node.figures,
        node.children,
    )


def _over(name: str, kind: str, parts: list[HealthNode]) -> HealthNode:
    """Return a node that is as its worst part, because of that part's leaf."""
    felt = [State.DEGRADED if _is_away(part) else part.state for part in parts]
    state = worst(felt)
    if state is State.OK:
        return HealthNode(name, kind, state, "", "", None, {}, parts)
    # The first of the worst: a plant that is down says why it is down.
    guilty = max(zip(felt, parts, strict=True), key=lambda each: _WORST.index(each[0]))
    leaf = guilty[1]
    return HealthNode(name, kind, state, leaf.because, leaf.code, leaf.since, {}, parts)


def _is_away(part: HealthNode) -> bool:
    return part.kind == "device" and part.state is State.DOWN


def _leaf(service: ServiceHealth, kind: str) -> HealthNode:
    because = ""
    if service.state is not State.OK:
        because = f"{service.service}: {service.reason or service.state}"
    return HealthNode(
        service.service,
        kind,
        service.state,
        because,
        service.code,
        service.since,
        service.figures,
        [],
    )
