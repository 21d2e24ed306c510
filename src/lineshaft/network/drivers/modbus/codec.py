"""Values to and from the bytes of registers; no sockets, no library.

A register travels with its high byte first (MODBUS Application Protocol V1.1b3, 4.2).
Values of two or four registers come in four orders. All of them are read with one
trick: `badc` and `cdab` differ from `abcd` and `dcba` only by the two bytes of each
register changing places.
"""

import math
import struct
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lineshaft.core.errors import Refused
from lineshaft.core.reading import GOOD, Status, Value, bad
from lineshaft.network.drivers.modbus.address import BYTES, Address, Format, Order

Decoded = tuple[Value | None, Status]

_CODES = {
    Format.INT16: "h",
    Format.UINT16: "H",
    Format.INT32: "i",
    Format.UINT32: "I",
    Format.INT64: "q",
    Format.UINT64: "Q",
    Format.FLOAT32: "f",
    Format.FLOAT64: "d",
}
_SWAPS = {Order.BADC, Order.CDAB}
_ENDIAN = {Order.ABCD: ">", Order.BADC: ">", Order.CDAB: "<", Order.DCBA: "<"}
_FLOATS = {Format.FLOAT32, Format.FLOAT64}


def order_of(address: Address, default: Order) -> Order:
    """Return the order of the address; `default` is for values of many registers.

    Devices that send the words of a float the other way round still send a single
    register, and text, as the standard says: those change only by their own wish.
    """
    if address.order is not None:
        return address.order
    several = address.format is not Format.STRING and address.width > 1
    return default if several else Order.ABCD


def swap_bytes(data: bytes) -> bytes:
    """Return `data` (an even number of bytes) with each pair exchanged."""
    words = array("H", data)
    words.byteswap()
    return words.tobytes()


def bits_of(payload: bytes, positions: Iterable[int]) -> list[bool]:
    """Return the bits at `positions` of a packed answer (V1.1b3, 6.1)."""
    return [payload[place >> 3] >> (place & 7) & 1 == 1 for place in positions]


@dataclass(frozen=True, slots=True)
class _Layer:
    """Values that one `struct` reads in one go, because they do not overlap."""

    read: Callable[[bytes], tuple[Value, ...]]
    """Texts come as bytes, until `_finish`."""
    swapped: bool
    members: tuple[int, ...]
    is_all: bool
    """Whether it holds every value of the block, in their order."""


class Layout:
    """Reads all values of one block of registers; built once, used each period."""

    def __init__(self, places: Sequence[tuple[int, Address, Order]]) -> None:
        """Take, for each value, its first register within the block."""
        self._addresses = [address for _, address, _ in places]
        self._layers = list(_layers(places))
        self._swaps = any(layer.swapped for layer in self._layers)
        self._floats = [
            place
            for place, address in enumerate(self._addresses)
            if address.format in _FLOATS
        ]
        self._others = [
            place
            for place, address in enumerate(self._addresses)
            if address.bit is not None or address.format is Format.STRING
        ]

    def decode(self, payload: bytes) -> tuple[list[Value | None], list[Status]]:
        """Return values and statuses, as many as there are places, in their order."""
        values: list[Value | None] = [None] * len(self._addresses)
        statuses = [GOOD] * len(self._addresses)
        swapped = swap_bytes(payload) if self._swaps else b""
        for layer in self._layers:
            found = layer.read(swapped if layer.swapped else payload)
            if layer.is_all:
                values = list(found)
                continue
            for place, value in zip(layer.members, found, strict=True):
                values[place] = value
        for place in self._floats:
            number = values[place]
            if isinstance(number, float) and not math.isfinite(number):
                values[place], statuses[place] = None, _not_finite(number)
        for place in self._others:
            values[place], statuses[place] = _finish(
                self._addresses[place], values[place]
            )
        return values, statuses


def _layers(places: Sequence[tuple[int, Address, Order]]) -> Iterable[_Layer]:
    """Divide the places into layers in which no two values overlap."""
    groups: dict[tuple[bool, str], list[int]] = {}
    for member in sorted(range(len(places)), key=lambda member: places[member][0]):
        order = places[member][2]
        groups.setdefault((order in _SWAPS, _ENDIAN[order]), []).append(member)
    for (swapped, endian), waiting in groups.items():
        left = waiting
        while left:
            code, end, taken, later = endian, 0, [], []
            for member in left:
                register, address, _ = places[member]
                if register * 2 < end:
                    later.append(member)
                    continue
                code += f"{register * 2 - end}x{_code(address)}"
                end = register * 2 + _size(address)
                taken.append(member)
            is_all = taken == list(range(len(places)))
            read = struct.Struct(code).unpack_from
            yield _Layer(read, swapped, tuple(taken), is_all)
            left = later


def _code(address: Address) -> str:
    if address.format is Format.STRING:
        return f"{_size(address)}s"
    return _CODES[address.format]


def _size(address: Address) -> int:
    return address.width * 2


def _not_finite(value: float) -> Status:
    return bad(f"the device says {value}, which is not a number to work with")


def _finish(address: Address, raw: object) -> Decoded:
    if isinstance(raw, bytes):
        return _text(raw[: address.length])
    if isinstance(raw, int) and address.bit is not None:
        return raw >> address.bit & 1 == 1, GOOD
    return None, bad(f"the device says {raw!r}, which is not a {address.format}")


def _text(raw: bytes) -> Decoded:
    """Text ends at the first NUL; blanks that fill it up do not belong to it."""
    try:
        return raw.partition(b"\0")[0].decode().rstrip(" "), GOOD
    except UnicodeDecodeError:
        return None, bad(f"the bytes {raw.hex(' ')} are not text in UTF-8")


def encode(address: Address, order: Order, value: Value) -> tuple[int, ...]:
    """Return the registers that say `value`; `Refused` if they cannot."""
    if address.format is Format.STRING:
        raw = _encode_text(address, value)
    elif address.format in _FLOATS:
        raw = _encode_float(address, order, value)
    else:
        raw = _encode_whole(address, order, value)
    if order in _SWAPS:
        raw = swap_bytes(raw)
    return struct.unpack(f">{len(raw) // 2}H", raw)


def _encode_text(address: Address, value: Value) -> bytes:
    if not isinstance(value, str):
        raise Refused(f"{value!r} is not text, and the registers hold a string")
    raw = value.encode()
    if len(raw) > address.length:
        raise Refused(
            f"the text is {len(raw)} bytes long, there is room for {address.length}"
        )
    if "\0" in value or value.endswith(" "):
        raise Refused(
            f"{value!r} could not be read back: a string holds no NUL and does not "
            "end with a blank"
        )
    return raw.ljust(address.width * 2, b"\0")


def _encode_float(address: Address, order: Order, value: Value) -> bytes:
    if isinstance(value, str) or not math.isfinite(value):
        raise Refused(f"{value!r} is not a number that a {address.format} can hold")
    try:
        return struct.pack(_ENDIAN[order] + _CODES[address.format], value)
    except OverflowError as error:
        raise Refused(f"{value!r} does not fit into a {address.format}") from error


def _encode_whole(address: Address, order: Order, value: Value) -> bytes:
    size = BYTES[address.format]
    signed = address.format.startswith("int")
    whole = whole_number(value)
    try:
        return whole.to_bytes(
            size, "big" if _ENDIAN[order] == ">" else "little", signed=signed
        )
    except OverflowError as error:
        low = -(1 << size * 8 - 1) if signed else 0
        high = (1 << size * 8 - signed) - 1
        raise Refused(
            f"{value!r} does not fit into {address.format}: {low} to {high}"
        ) from error


def whole_number(value: Value) -> int:
    """Return a number as an int; `Refused` for anything between two of them.

    What was scaled may be off by the last digits of a float, and only by those.
    """
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str) or not math.isfinite(value):
        raise Refused(f"{value!r} is not a number, and registers hold numbers")
    nearest = round(value)
    if abs(value - nearest) > 1e-9 * max(1.0, abs(value)):
        raise Refused(
            f"{value!r} is not a whole number of the register's steps; "
            f"the nearest ones are {math.floor(value)} and {math.ceil(value)}"
        )
    return nearest


def truth(value: Value) -> bool:
    """Return a value for a bit; `Refused` for anything but false, true, 0 and 1."""
    if isinstance(value, str) or value not in {0, 1}:
        raise Refused(f"{value!r} is not a bit: write true or false")
    return bool(value)


_READS_BITS = {1, 2}
_READS_REGISTERS = {3, 4}
_MASK_WRITE = 22


def expected_answer(request: bytes) -> tuple[bytes, int]:
    """Return how the answer to a request must begin, and its length in bytes.

    Both are whole frames: the MBAP header (Messaging on TCP/IP Guide V1.0b, 3.1.3)
    with the transaction and the unit, then the function, then what is known of the
    rest: the byte count of a read, the echo of a write.
    """
    function = request[7]
    if function in _READS_BITS | _READS_REGISTERS:
        count = int.from_bytes(request[10:12], "big")
        size = (count + 7) // 8 if function in _READS_BITS else count * 2
        rest, length = bytes([size]), 3 + size
    else:
        rest = request[8 : 14 if function == _MASK_WRITE else 12]
        length = 2 + len(rest)
    head = request[:4] + length.to_bytes(2, "big") + request[6:8] + rest
    return head, length + 6
