"""From addresses to the nodes that a server has for them now.

Namespaces are found by name and nodes by path anew at each connection, since a server
may number both anew whenever it starts.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary

from lineshaft.core.errors import LineshaftError, Unreachable
from lineshaft.core.reading import Status, bad
from lineshaft.network.drivers.opcua.address import Method, Path, Target, Where
from lineshaft.network.drivers.opcua.session import (
    Session,
    in_parts,
    said_no,
    translated,
)
from lineshaft.network.drivers.opcua.wire.values import name_of

_LOOKS_S = 10.0
_LOOKS_FOR_PATHS_S = 30.0
_ROOT = ua.NodeId(ua.ObjectIds.RootFolder)
_HIERARCHY = ua.NodeId(ua.ObjectIds.HierarchicalReferences)
_WHOLE_PATH = 0xFFFF_FFFF
"""RemainingPathIndex of a target in this server (IEC 62541-4, 5.8.4)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node, and which element of its value is meant."""

    node: ua.NodeId
    range: str | None = None


@dataclass(frozen=True, slots=True)
class MethodPlace:
    """A method of an object."""

    object: ua.NodeId
    method: ua.NodeId


Found = Place | MethodPlace | Status
"""What the address of a point leads to, or why it leads nowhere."""


class Finder:
    """Finds nodes, and watches for those that the server lacked."""

    def __init__(self, session: Session, first: Sequence[str]) -> None:
        """`first` are the namespaces to which the numbers in addresses belong.

        A server may have numbered them anew since, and then the number that the
        namespace has now is used.
        """
        self._session = session
        self._first = first
        self._lacks_namespace = False
        self._missing: list[ua.BrowsePath] = []

    async def find(self, targets: Sequence[Target]) -> list[Found]:
        """Return the place of each target."""
        wanted: dict[Where, None] = {}
        for target in targets:
            if isinstance(target, Method):
                wanted[target.object] = wanted[target.method] = None
            else:
                wanted[target.where] = None
        nodes = await self.nodes(list(wanted))
        return [_found(target, nodes) for target in targets]

    async def nodes(self, wanted: Sequence[Where]) -> dict[Where, ua.NodeId | Status]:
        """Return the node of each, or why there cannot be one."""
        found: dict[Where, ua.NodeId | Status] = {}
        paths: list[tuple[Path, ua.BrowsePath]] = []
        for where in wanted:
            if not isinstance(where, Path):
                number = self._number(where.index if where.uri is None else where.uri)
                wrong = isinstance(number, Status)
                found[where] = number if wrong else ua.NodeId(where.identifier, number)
                continue
            path = self._browse_path(where)
            if isinstance(path, Status):
                found[where] = path
            else:
                paths.append((where, path))
        asked = [path for _, path in paths]
        limit = self._session.limits.translate
        try:
            answers = await in_parts(asked, limit, self._translate)
        except LineshaftError as error:
            if not said_no(error):
                raise
            # Small servers have node ids only; those points shall not suffer.
            return found | {where: bad(str(error)) for where, _ in paths}
        for (where, path), answer in zip(paths, answers, strict=True):
            found[where] = _target(where, answer)
            if isinstance(found[where], Status):
                self._missing.append(path)
        return found

    async def watch(self) -> None:
        """Begin anew when something comes that was lacking; else never return."""
        looked_s = time.monotonic()
        while True:
            await asyncio.sleep(_LOOKS_S)
            if self._lacks_namespace:
                now = await self._session.namespaces_now()
                if now != self._session.namespaces:
                    self._begin_anew("namespaces")
            if self._missing and time.monotonic() - looked_s > _LOOKS_FOR_PATHS_S:
                looked_s = time.monotonic()
                limit = self._session.limits.translate
                answers = await in_parts(self._missing, limit, self._translate)
                if any(answer.StatusCode.is_good() for answer in answers):
                    self._begin_anew("nodes")

    def _begin_anew(self, what: str) -> None:
        raise Unreachable(
            f"{self._session.url} has new {what}, and points that need them are "
            "looked up by connecting again"
        )

    def _number(self, namespace: int | str) -> int | Status:
        """Return the number that the server has now for a namespace."""
        if namespace == 0:
            return 0
        if isinstance(namespace, int):
            if namespace >= len(self._first):
                self._lacks_namespace = True
                return bad(f"the server has no namespace number {namespace}")
            namespace = self._first[namespace]
        if namespace not in self._session.namespaces:
            self._lacks_namespace = True
            return bad(f"the server has no namespace {namespace}")
        return self._session.namespaces.index(namespace)

    def _browse_path(self, path: Path) -> ua.BrowsePath | Status:
        elements: list[ua.RelativePathElement] = []
        for space, name in path.steps:
            number = self._number(space)
            if isinstance(number, Status):
                return number
            elements.append(
                ua.RelativePathElement(
                    ReferenceTypeId=_HIERARCHY,
                    IsInverse=False,
                    IncludeSubtypes=True,
                    TargetName=ua.QualifiedName(name, number),
                )
            )
        return ua.BrowsePath(_ROOT, ua.RelativePath(elements))

    async def _translate(
        self, part: Sequence[ua.BrowsePath]
    ) -> list[ua.BrowsePathResult]:
        request = ua.TranslateBrowsePathsToNodeIdsRequest()
        request.Parameters.BrowsePaths = list(part)
        action = "looking up paths"
        body = await self._session.ask(request, action, self._session.timeout_s)
        with translated(self._session.url, action):
            answer = struct_from_binary(
                ua.TranslateBrowsePathsToNodeIdsResponse, Buffer(body)
            )
        return list(answer.Results)


def _found(target: Target, nodes: dict[Where, ua.NodeId | Status]) -> Found:
    if isinstance(target, Method):
        thing, method = nodes[target.object], nodes[target.method]
        if isinstance(thing, Status):
            return thing
        return method if isinstance(method, Status) else MethodPlace(thing, method)
    node = nodes[target.where]
    return node if isinstance(node, Status) else Place(node, target.range)


def _target(path: Path, answer: ua.BrowsePathResult) -> ua.NodeId | Status:
    targets = {
        ua.NodeId(each.TargetId.Identifier, each.TargetId.NamespaceIndex)
        for each in answer.Targets or []
        if each.RemainingPathIndex == _WHOLE_PATH
    }
    if len(targets) == 1:
        return targets.pop()
    if targets:
        return bad(
            f"{path.text} leads to {len(targets)} nodes; name one by its node id"
        )
    return bad(
        f"the server has no {path.text}: OPC UA {name_of(answer.StatusCode.value)}"
    )
