"""Methods of a server, called with one value or a list of them (IEC 62541-4, 5.11)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncua import ua
from asyncua.common.ua_utils import data_type_to_variant_type
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.reading import Value
from lineshaft.network.drivers.opcua.asking.converting import convert
from lineshaft.network.drivers.opcua.asking.refusing import refusals, told
from lineshaft.network.drivers.opcua.places import MethodPlace
from lineshaft.network.drivers.opcua.session import Session, said_no, translated
from lineshaft.network.drivers.opcua.wire.values import name_of

_TYPES = ua.VariantType
_TEXTS = {
    _TYPES.String, _TYPES.LocalizedText, _TYPES.XmlElement, _TYPES.DateTime,
    _TYPES.Guid, _TYPES.ByteString,
}  # fmt: skip
_NO_ARGUMENTS = {ua.StatusCodes.BadNoMatch, ua.StatusCodes.BadNotFound}
_GO = (True, 1, "", "[]")
"""What may be written to a method that wants nothing."""


@dataclass(frozen=True, slots=True)
class Argument:
    """What a method wants in one place."""

    name: str
    kind: ua.VariantType
    is_list: bool


@dataclass(frozen=True, slots=True)
class Said:
    """What a method answered."""

    value: Value | None
    """The answer if it is one value, all of it as JSON if it is more, or nothing."""
    text: str
    """All of it as a JSON list; empty if it is nothing."""


def arguments_of(value: Value, wanted: Sequence[Argument]) -> list[ua.Variant]:
    """Return what to call a method with; `Refused` says why it cannot be.

    A method that wants one value gets `value` itself; otherwise `value` is a text, a
    JSON list with one entry for each argument.
    """
    if not wanted:
        if value not in _GO or value is False:
            raise Refused(f"the method wants no argument, write true, not {value!r}")
        return []
    entries = [value] if _is_entry(value, wanted) else _entries(value, wanted)
    if len(entries) != len(wanted):
        names = ", ".join(f"{each.name} ({each.kind.name})" for each in wanted)
        raise Refused(f"the method wants {len(wanted)} arguments: {names}")
    return [_variant(entry, each) for entry, each in zip(entries, wanted, strict=True)]


def _is_entry(value: Value, wanted: Sequence[Argument]) -> bool:
    """Whether `value` is the only argument itself."""
    first = wanted[0]
    if len(wanted) > 1 or first.is_list:
        return False
    return not isinstance(value, str) or first.kind in _TEXTS


def _entries(value: Value, wanted: Sequence[Argument]) -> list[object]:
    names = ", ".join(f"{each.name} ({each.kind.name})" for each in wanted)
    try:
        entries = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError) as error:
        raise Refused(f"{value!r} is no JSON list of {names}: {error}") from error
    if not isinstance(entries, list):
        raise Refused(f"{value!r} is no JSON list, like [1, 2]; it wants {names}")
    return entries


def _variant(entry: object, wanted: Argument) -> ua.Variant:
    try:
        raw = _list(entry, wanted) if wanted.is_list else _convert(entry, wanted)
    except Refused as refusal:
        raise Refused(f"argument {wanted.name}: {refusal}") from refusal
    return ua.Variant(raw, wanted.kind, is_array=wanted.is_list)


def _list(entry: object, wanted: Argument) -> list[object]:
    if not isinstance(entry, list):
        raise Refused(f"{entry!r} is no list")
    return [_convert(each, wanted) for each in entry]


def _convert(entry: object, wanted: Argument) -> object:
    if not isinstance(entry, bool | int | float | str):
        raise Refused(f"{entry!r} is no value")
    return convert(entry, wanted.kind)


class Caller:
    """Calls methods, and remembers what they want."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._wanted: dict[ua.NodeId, list[Argument]] = {}

    async def call(self, place: MethodPlace, value: Value) -> Said:
        """Call once; return when the server has said how it ended.

        `Refused` has the server's reason, and which argument it does not like.
        """
        wanted = self._wanted.get(place.method)
        if wanted is None:
            wanted = self._wanted[place.method] = await self._wants(place.method)
        arguments = arguments_of(value, wanted)
        result = await self.ask(place, arguments)
        if result.StatusCode.value >> 31:
            # The method may want something else by now.
            self._wanted.pop(place.method, None)
            raise Refused(self._refusal(result, wanted))
        return said(result.OutputArguments or [])

    async def ask(
        self, place: MethodPlace, arguments: Sequence[ua.Variant]
    ) -> ua.CallMethodResult:
        """Call with these arguments; return what the server says.

        `Refused` when it calls no methods at all.
        """
        request = ua.CallRequest()
        request.Parameters.MethodsToCall = [
            ua.CallMethodRequest(place.object, place.method, list(arguments))
        ]
        url = self._session.url
        try:
            body = await self._session.ask(request, "calling", self._session.timeout_s)
        except Unreachable as error:
            if said_no(error):
                raise Refused(str(error)) from error
            raise
        with translated(url, "calling"):
            [result] = struct_from_binary(ua.CallResponse, Buffer(body)).Results
        return result

    def _refusal(self, result: ua.CallMethodResult, wanted: Sequence[Argument]) -> str:
        wrong = [
            f"{argument.name}: {name_of(status.value)}"
            for argument, status in zip(
                wanted, result.InputArgumentResults or [], strict=False
            )
            if status.value >> 31
        ]
        which = f"; argument {', '.join(wrong)}" if wrong else ""
        return told(self._session.url, result.StatusCode.value) + which

    async def _wants(self, method: ua.NodeId) -> list[Argument]:
        """Read the InputArguments of a method (IEC 62541-3, 5.7)."""
        client = self._session.client
        url = self._session.url
        await self._session.renew()
        with translated(url, "reading what a method wants"), refusals(url):
            try:
                node = await client.get_node(method).get_child("0:InputArguments")
                told_now = await node.read_value()
            except ua.UaStatusCodeError as error:
                if error.code in _NO_ARGUMENTS:
                    return []
                raise
            return [
                Argument(
                    each.Name or f"number {number}",
                    await data_type_to_variant_type(client.get_node(each.DataType)),
                    each.ValueRank > 0,
                )
                for number, each in enumerate(told_now or [], 1)
            ]


def said(outputs: Sequence[ua.Variant]) -> Said:
    """Return what these output arguments say."""
    if not outputs:
        return Said(None, "")
    plain = [_plain(each.Value) for each in outputs]
    text = json.dumps(plain, ensure_ascii=False)
    only = plain[0]
    if len(plain) == 1 and isinstance(only, bool | int | float | str):
        return Said(only, text)
    return Said(text, text)


def _plain(value: object) -> object:
    """Return it as JSON knows it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, ua.LocalizedText):
        return value.Text
    return str(value)
