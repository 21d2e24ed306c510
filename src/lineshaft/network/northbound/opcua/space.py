"""The address space: folders after the hierarchy of the plant, a variable per point.

Node ids are `s=` and the name, so they are the same in every life of the server. A
variable holds no value of its own: it is made from the newest reading when a client
asks, and sent when a client has subscribed. So what nobody looks at costs nothing.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from asyncua import Node, Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AddressSpace, AttributeService

from lineshaft.core.errors import ConfigError
from lineshaft.core.name import place_of
from lineshaft.core.point import Point
from lineshaft.core.reading import Value
from lineshaft.network.northbound.mirror import NOT_YET, Said
from lineshaft.network.northbound.opcua.history import Archive
from lineshaft.network.northbound.opcua.units import engineering_units
from lineshaft.network.northbound.opcua.values import (
    TYPES,
    data_value,
    value_of,
)
from lineshaft.network.northbound.opcua.visitors import Reception, Visitors, visitor

NAMESPACE = "urn:lineshaft:plant"
Write = Callable[[Point, Value, str], Awaitable[ua.StatusCode]]
"""Writes a value; the last word is who asks for it."""
# asyncua counts the bits of an access level instead of giving their values.
_READ = 1 << ua.AccessLevel.CurrentRead | 1 << ua.AccessLevel.HistoryRead
_WRITE = 1 << ua.AccessLevel.CurrentWrite


@dataclass(slots=True, eq=False)
class Variable:
    """A point in the address space."""

    point: Point
    attribute: Any  # of asyncua, which gives it no type
    said: Said

    def told(self) -> ua.DataValue:
        """Return its value now."""
        return data_value(self.said, self.point.type)

    async def send(self) -> int:
        """Tell who has subscribed; return how many these are."""
        waiting = [*self.attribute.datachange_callbacks.items()]
        if waiting:
            told = self.told()
            for handle, tell in waiting:
                await tell(handle, told)
        return len(waiting)


class Space:
    """What clients see."""

    def __init__(self, server: Server, variables: Sequence[Variable]) -> None:
        self._server = server
        self._variables = variables
        self.sent = 0
        """Counts values that were sent to subscribers."""

    @property
    def clients(self) -> int:
        """Return how many connections are open."""
        return len(self._server.bserver.clients)

    @property
    def url(self) -> str:
        """Return where it is."""
        listening = self._server.bserver
        return f"opc.tcp://{listening.hostname}:{listening.port}/"

    async def show(self, news: Sequence[Said]) -> None:
        """Take in what points say, in its order."""
        for said in news:
            variable = self._variables[said.position]
            variable.said = said
            self.sent += await variable.send()

    async def announce(self, source: str, text: str, severity: int) -> None:
        """Send an event of the server (IEC 62541-5, 6.4.2)."""
        generator = await self._server.get_event_generator(
            ua.ObjectIds.BaseEventType, self._server.nodes.server
        )
        generator.event.SourceName = source
        generator.event.Severity = severity
        await generator.trigger(message=text)


@asynccontextmanager
async def open_space(
    host: str,
    port: int,
    points: Sequence[Point],
    write: Write | None,
    archive: Archive,
) -> AsyncIterator[Space]:
    """Serve points; `write` carries out what clients write.

    `ConfigError` when the port cannot be had.
    """
    logging.getLogger("asyncua").setLevel(logging.ERROR)  # it warns of every loopback
    server = Server(iserver=Reception(user_manager=Visitors()))
    await server.init()
    server.set_endpoint(f"opc.tcp://{host}:{port}")
    server.set_server_name("Lineshaft")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(NAMESPACE)
    variables = await _populate(server, index, points, can_write=write is not None)
    inner = server.iserver
    by_id = {_node_id(v.point.name, index): v for v in variables}
    inner.attribute_service = _Writes(inner.aspace, by_id, write)
    inner.history_manager.set_storage(archive)
    try:
        await server.start()
    except OSError as error:
        raise ConfigError(
            f"the OPC UA server cannot listen on {host}:{port} ({error.strerror}); "
            "choose another northbound.opcua.port"
        ) from error
    try:
        yield Space(server, variables)
    finally:
        await server.stop()


class _Writes(AttributeService):  # type: ignore[misc]  # asyncua is untyped to us
    """Lets writes to points go to their devices; all others are as ever."""

    def __init__(
        self,
        space: AddressSpace,
        variables: dict[ua.NodeId, Variable],
        write: Write | None,
    ) -> None:
        super().__init__(space)
        self._points = variables
        self._write = write

    async def write(
        self, params: ua.WriteParameters, user: object = None
    ) -> list[ua.StatusCode]:
        """Write each value; return what became of it."""
        if isinstance(user, User) and user.role is UserRole.Admin:  # the server itself
            done: list[ua.StatusCode] = await super().write(params, user)
            return done
        by = visitor(user)
        return [await self._one(wish, by) for wish in params.NodesToWrite]

    async def _one(self, wish: ua.WriteValue, by: str) -> ua.StatusCode:
        variable = self._points.get(wish.NodeId)
        is_value = wish.AttributeId == ua.AttributeIds.Value
        if self._write is None or variable is None or not is_value:
            return ua.StatusCode(ua.StatusCodes.BadNotWritable)
        point = variable.point
        if not point.writable:
            return ua.StatusCode(ua.StatusCodes.BadNotWritable)
        if wish.Value.SourceTimestamp is not None or wish.Value.StatusCode not in (
            None,
            ua.StatusCode(ua.StatusCodes.Good),
        ):
            # A device takes values only; to drop the rest silently would be a lie.
            return ua.StatusCode(ua.StatusCodes.BadWriteNotSupported)
        value = value_of(wish.Value.Value, point.type)
        if value is None:
            return ua.StatusCode(ua.StatusCodes.BadTypeMismatch)
        return await self._write(point, value, by)


async def _populate(
    server: Server,
    index: int,
    points: Sequence[Point],
    *,
    can_write: bool,
) -> list[Variable]:
    folders = {"": server.nodes.objects}
    return [
        await _variable(server, index, folders, point, can_write=can_write)
        for point in points
    ]


async def _variable(
    server: Server,
    index: int,
    folders: dict[str, Node],
    point: Point,
    *,
    can_write: bool,
) -> Variable:
    folder = await _folder(folders, place_of(point.name), index)
    last = point.name.rpartition("/")[2]
    kind = TYPES[point.type]
    node = await folder.add_variable(
        _node_id(point.name, index),
        ua.QualifiedName(last, index),
        ua.Variant(None, ua.VariantType.Null),
        datatype=ua.NodeId(kind.value),
    )
    access = _READ | (_WRITE if point.writable and can_write else 0)
    facts = {
        ua.AttributeIds.AccessLevel: ua.Variant(access, ua.VariantType.Byte),
        ua.AttributeIds.UserAccessLevel: ua.Variant(access, ua.VariantType.Byte),
        ua.AttributeIds.Historizing: ua.Variant(True, ua.VariantType.Boolean),  # noqa: FBT003
        ua.AttributeIds.Description: ua.Variant(ua.LocalizedText(point.description)),
    }
    for attribute, value in facts.items():
        await node.write_attribute(attribute, ua.DataValue(value))
    if point.unit:
        unit = engineering_units(point.unit)
        await node.add_property(ua.NodeId(), "0:EngineeringUnits", unit)
    held = server.iserver.aspace[node.nodeid].attributes[ua.AttributeIds.Value]
    variable = Variable(point, held, Said(0, None, NOT_YET, 0))
    held.value_callback = lambda _node, _attribute: variable.told()
    return variable


async def _folder(folders: dict[str, Node], place: str, index: int) -> Node:
    if place not in folders:
        above, _, last = place.rpartition("/")
        parent = await _folder(folders, above, index)
        name = ua.QualifiedName(last, index)
        folders[place] = await parent.add_folder(_node_id(place, index), name)
    return folders[place]


def _node_id(name: str, index: int) -> ua.NodeId:
    return ua.NodeId(name, index)
