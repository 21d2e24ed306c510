"""What is changed in a server: variables that are written, methods that are called."""

import time
from collections.abc import Sequence

from asyncua import ua

from lineshaft.core.errors import Refused
from lineshaft.core.reading import GOOD, Status, Value, bad
from lineshaft.network.drivers.opcua.asking.calling import Caller
from lineshaft.network.drivers.opcua.asking.converting import convert
from lineshaft.network.drivers.opcua.asking.refusing import refusals, told
from lineshaft.network.drivers.opcua.places import Found, MethodPlace, Place
from lineshaft.network.drivers.opcua.session import Session, translated, value_of

_NULL = ua.VariantType.Null
_NOT_CALLED = bad("a method that was not called since the connection began")


class Writer:
    """Writes to the nodes of points, or calls them."""

    def __init__(self, session: Session, places: Sequence[Found]) -> None:
        self._session = session
        self._places = places
        self._types: dict[int, ua.VariantType] = {}
        self._caller = Caller(session)
        self.answers: dict[int, tuple[Value, int]] = {}
        """What each method answered last, and when (microseconds since 1970 UTC)."""

    def reading_of(self, point: int) -> tuple[Value | None, int, Status]:
        """Return what a method reads as: its last answer and the time of that."""
        if point not in self.answers:
            return None, time.time_ns() // 1000, _NOT_CALLED
        return *self.answers[point], GOOD

    async def write(self, point: int, value: Value) -> str:
        """Write or call once; return what a method answered, as JSON.

        Only the value is sent: many servers refuse to be told status or time.
        """
        place = self._places[point]
        if isinstance(place, Status):
            raise Refused(place.reason)
        if isinstance(place, MethodPlace):
            said = await self._caller.call(place, value)
            last = value if said.value is None else said.value
            self.answers[point] = (last, time.time_ns() // 1000)
            return said.text
        await self._write(point, place, value)
        return ""

    async def _write(self, point: int, place: Place, value: Value) -> None:
        kind = await self._type_of(point, place)
        raw = convert(value, kind)
        # An element of an array is written as an array of one (IEC 62541-4, 5.10.4).
        wanted = ua.Variant(raw if place.range is None else [raw], kind)
        parameters = ua.WriteParameters(
            NodesToWrite=[
                ua.WriteValue(
                    NodeId=place.node,
                    AttributeId=ua.AttributeIds.Value,
                    IndexRange=place.range,
                    Value=ua.DataValue(wanted, None),
                )
            ]
        )
        client = self._session.client
        await self._session.renew()
        with translated(self._session.url, "writing"), refusals(self._session.url):
            [result] = await client.uaclient.session.write(parameters)
        if result.value >> 31:
            # The node may have another type by now.
            self._types.pop(point, None)
            raise Refused(told(self._session.url, result.value))

    async def _type_of(self, point: int, place: Place) -> ua.VariantType:
        known = self._types.get(point)
        if known is not None:
            return known
        client = self._session.client
        parameters = ua.ReadParameters(NodesToRead=[value_of(place.node)])
        with translated(self._session.url, "reading a type"):
            [now] = await client.uaclient.session.read(parameters)
            if (
                now.Value is not None
                and now.Value.VariantType is not ua.VariantType.Null
            ):
                if now.Value.is_array and place.range is None:
                    raise Refused(
                        "the node is an array; write [0] before its address to have "
                        "its first element, or another number"
                    )
                kind = now.Value.VariantType
            else:
                with refusals(self._session.url):
                    node = client.get_node(place.node)
                    kind = await node.read_data_type_as_variant_type()
        self._types[point] = kind
        return kind
