"""What a server has: its address space, walked from the Objects folder.

Level by level and many nodes per call (IEC 62541-4, 5.8.2), so that a hundred thousand
nodes do not take a hundred thousand calls. A node is looked at once, whatever circles
the references make.
"""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary

from lineshaft.core.point import Kind
from lineshaft.core.reading import GOOD, Quality, Status, Value
from lineshaft.network.device import Batch, Found
from lineshaft.network.drivers.opcua.address import text_of
from lineshaft.network.drivers.opcua.session import (
    Session,
    in_parts,
    translated,
    value_of,
)
from lineshaft.network.drivers.opcua.wire.messages import decode_values

_ROOT = ua.NodeId(ua.ObjectIds.ObjectsFolder)
_SERVER = ua.NodeId(ua.ObjectIds.Server)
_PROPERTY = ua.NodeId(ua.ObjectIds.HasProperty)
_VARIABLES, _OBJECTS = ua.NodeClass.Variable, ua.NodeClass.Object
_UNITS = "EngineeringUnits"
_PER_NODE = 1000
_ATTRIBUTES = (
    ua.AttributeIds.Value,
    ua.AttributeIds.UserAccessLevel,
    ua.AttributeIds.Description,
    ua.AttributeIds.DataType,
    ua.AttributeIds.ValueRank,
)
_CAN_WRITE = 0x02
_SCALAR_RANKS = {-1, -2, -3}
"""Scalar, any, and scalar or one dimension (IEC 62541-3, 5.6.2)."""
_KINDS = (
    (range(1, 2), Kind.BOOL),
    (range(2, 10), Kind.INT),
    (range(10, 12), Kind.FLOAT),
    (range(12, 16), Kind.STRING),
    (range(21, 22), Kind.STRING),
    (range(29, 30), Kind.INT),
    (range(294, 295), Kind.STRING),
    (range(290, 291), Kind.FLOAT),
)
"""Kinds of the data types of the standard, for variables without a value now."""


@dataclass(slots=True)
class _Seen:
    node: ua.NodeId
    path: tuple[str, ...]
    is_variable: bool
    units: list[ua.NodeId] = field(default_factory=list)


class Browser:
    """It can tell what the server has."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def browse(self) -> AsyncIterator[Found]:
        """Yield every variable with its value now, those near the root first."""
        level = [_Seen(_ROOT, (), is_variable=False)]
        visited = {_ROOT, _SERVER}
        while level:
            below: list[_Seen] = []
            step = min(self._session.limits.browse, _PER_NODE // 5)
            for start in range(0, len(level), step):
                part = level[start : start + step]
                for seen, references in zip(
                    part, await self._references(part), strict=True
                ):
                    below += _children(seen, references, visited)
                variables = [seen for seen in part if seen.is_variable]
                for found in await self._describe(variables):
                    yield found
            level = below

    async def _references(
        self, part: Sequence[_Seen]
    ) -> list[list[ua.ReferenceDescription]]:
        limit = self._session.limits.browse
        answers = await in_parts(part, limit, self._browse_once)
        references = [list(answer.References or []) for answer in answers]
        open_ends = {
            place: answer.ContinuationPoint
            for place, answer in enumerate(answers)
            if answer.ContinuationPoint
        }
        while open_ends:
            places = list(open_ends)[:limit]
            more = await self._browse_on([open_ends.pop(place) for place in places])
            for place, answer in zip(places, more, strict=True):
                references[place] += answer.References or []
                if answer.ContinuationPoint:
                    open_ends[place] = answer.ContinuationPoint
        return references

    async def _browse_once(self, part: Sequence[_Seen]) -> list[ua.BrowseResult]:
        request = ua.BrowseRequest()
        request.Parameters.RequestedMaxReferencesPerNode = _PER_NODE
        request.Parameters.NodesToBrowse = [
            ua.BrowseDescription(
                NodeId=seen.node,
                BrowseDirection=ua.BrowseDirection.Forward,
                ReferenceTypeId=ua.NodeId(ua.ObjectIds.HierarchicalReferences),
                IncludeSubtypes=True,
                NodeClassMask=_VARIABLES | _OBJECTS,
                ResultMask=ua.BrowseResultMask.All,
            )
            for seen in part
        ]
        body = await self._session.ask(request, "browsing", self._session.timeout_s)
        with translated(self._session.url, "browsing"):
            answer = struct_from_binary(ua.BrowseResponse, Buffer(body))
        return list(answer.Results)

    async def _browse_on(self, points: Sequence[bytes]) -> list[ua.BrowseResult]:
        request = ua.BrowseNextRequest()
        request.Parameters.ReleaseContinuationPoints = False  # the library says True
        request.Parameters.ContinuationPoints = list(points)
        body = await self._session.ask(request, "browsing", self._session.timeout_s)
        with translated(self._session.url, "browsing"):
            answer = struct_from_binary(ua.BrowseNextResponse, Buffer(body))
        return list(answer.Parameters.Results)

    async def _describe(self, variables: Sequence[_Seen]) -> list[Found]:
        asked = [
            value_of(seen.node, attribute)
            for seen in variables
            for attribute in _ATTRIBUTES
        ]
        told = await self._read(asked)
        units = await self._read_units(variables)
        width = len(_ATTRIBUTES)
        return [
            self._found(seen, told[width * n : width * (n + 1)], units.get(n, ""))
            for n, seen in enumerate(variables)
        ]

    async def _read(
        self, asked: Sequence[ua.ReadValueId]
    ) -> list[tuple[Value | None, Status]]:
        async def ask(
            part: Sequence[ua.ReadValueId],
        ) -> list[tuple[Value | None, Status]]:
            body = await self._session.read(part, "browsing")
            told: Batch = decode_values(body, time.time_ns() // 1000)
            return list(zip(told.values, told.statuses, strict=True))

        return await in_parts(asked, self._session.limits.read, ask)

    async def _read_units(self, variables: Sequence[_Seen]) -> dict[int, str]:
        """Return the units by the variable's place (IEC 62541-8, 5.6.3)."""
        places = [n for n, seen in enumerate(variables) if seen.units]
        nodes = [value_of(variables[place].units[0]) for place in places]

        async def ask(part: Sequence[ua.ReadValueId]) -> list[str]:
            body = await self._session.read(part, "browsing")
            with translated(self._session.url, "reading units"):
                answer = struct_from_binary(ua.ReadResponse, Buffer(body))
            return [_unit(result) for result in answer.Results]

        texts = await in_parts(nodes, self._session.limits.read, ask)
        return dict(zip(places, texts, strict=True))

    def _found(
        self, seen: _Seen, told: Sequence[tuple[Value | None, Status]], unit: str
    ) -> Found:
        (value, status), (access, _), (words, _), (data_type, _), (rank, _) = told
        return Found(
            address=text_of(seen.node, self._session.namespaces),
            path=seen.path,
            type=_kind(value, data_type, rank),
            value=value,
            status=status if status.quality is not Quality.GOOD else GOOD,
            unit=unit,
            description=words if isinstance(words, str) else "",
            writable=isinstance(access, int) and bool(access & _CAN_WRITE),
        )


def _children(
    seen: _Seen, references: Sequence[ua.ReferenceDescription], visited: set[ua.NodeId]
) -> list[_Seen]:
    children: list[_Seen] = []
    for reference in references:
        node = _local(reference.NodeId)
        if reference.ReferenceTypeId == _PROPERTY:
            if reference.BrowseName.Name == _UNITS and node is not None:
                seen.units.append(node)
            continue
        if node is None or node in visited:
            continue
        visited.add(node)
        name = reference.DisplayName.Text or reference.BrowseName.Name or ""
        variable = reference.NodeClass is _VARIABLES
        children.append(_Seen(node, (*seen.path, name), variable))
    return children


def _local(node: ua.NodeId) -> ua.NodeId | None:
    """Return the node, or None if it is in another server."""
    if isinstance(node, ua.ExpandedNodeId) and node.ServerIndex:
        return None
    return ua.NodeId(node.Identifier, node.NamespaceIndex)


def _unit(told: ua.DataValue) -> str:
    information = told.Value.Value if told.Value is not None else None
    if not isinstance(information, ua.EUInformation):
        return ""
    return information.DisplayName.Text or information.Description.Text or ""


def _kind(value: Value | None, data_type: Value | None, rank: Value | None) -> str:
    if rank not in _SCALAR_RANKS and rank is not None:
        return ""
    for python, kind in (
        (bool, Kind.BOOL),
        (int, Kind.INT),
        (float, Kind.FLOAT),
        (str, Kind.STRING),
    ):
        if isinstance(value, python):
            return kind
    number = str(data_type).removeprefix("i=")
    if number.isdigit():
        for numbers, kind in _KINDS:
            if int(number) in numbers:
                return kind
    return ""
