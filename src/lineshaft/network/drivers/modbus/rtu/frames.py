"""RTU frames: what is sent, and how its answer is found among noise; no sockets.

A frame is the unit, the protocol data unit and a CRC-16, low byte first; silence of
3.5 characters stands around it (MODBUS over Serial Line V1.02, 2.5.1). An operating
system does not tell silences that short, so an answer is known by its content: the
unit, the function, the length that the question demands, and the CRC.
"""

from dataclasses import dataclass

_POLYNOMIAL = 0xA001
_CHARACTER_BITS = 11
_SHORTEST_SILENCE_S = 0.00175
"""Above 19,200 bits per second the silence is fixed: V1.02, 2.5.1.1."""
_FASTEST_COUNTED = 19_200
_FLAG = 0x80
_EXCEPTION_LENGTH = 5
_HEAD, _CRC = 2, 2
_READS_BITS, _READS_REGISTERS = {1, 2}, {3, 4}
_MASK_WRITE = 22


def _table() -> tuple[int, ...]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (_POLYNOMIAL if number & 1 else 0)  # noqa: PLW2901
        table.append(number)
    return tuple(table)


_CRC_OF = _table()


def crc16(data: bytes) -> bytes:
    """Return the two bytes that end a frame: V1.02, 6.2.2."""
    register = 0xFFFF
    for byte in data:
        register = register >> 8 ^ _CRC_OF[(register ^ byte) & 0xFF]
    return register.to_bytes(2, "little")


def frame(unit: int, pdu: bytes) -> bytes:
    """Return a whole frame."""
    body = bytes([unit]) + pdu
    return body + crc16(body)


def silence_s(baud: int) -> float:
    """Return the least silence between two frames: 3.5 characters."""
    if baud > _FASTEST_COUNTED:
        return _SHORTEST_SILENCE_S
    return 3.5 * _CHARACTER_BITS / baud


def travel_s(length: int, baud: int) -> float:
    """Return how long so many bytes are on the line."""
    return length * _CHARACTER_BITS / baud


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and what its answer must look like."""

    request: bytes
    """The whole frame."""
    begins: bytes
    """How the answer begins: unit, function, and what else is known of it."""
    length: int
    """Bytes of the whole answer."""

    @property
    def unit(self) -> int:
        """Who is asked."""
        return self.request[0]

    @property
    def function(self) -> int:
        """What is asked for: MODBUS Application Protocol V1.1b3, 6."""
        return self.request[1]


def question(unit: int, pdu: bytes) -> Question:
    """Return a question from a request's protocol data unit."""
    function = pdu[0]
    if function in _READS_BITS | _READS_REGISTERS:
        count = int.from_bytes(pdu[3:5], "big")
        size = (count + 7) // 8 if function in _READS_BITS else count * 2
        begins, length = bytes([unit, function, size]), 3 + size + _CRC
    else:
        echoed = pdu if function == _MASK_WRITE else pdu[:5]
        begins, length = bytes([unit]) + echoed, 1 + len(echoed) + _CRC
    return Question(frame(unit, pdu), begins, length)


def find_answer(heard: bytes, asked: Question) -> bytes | None:
    """Return the answer among the bytes that were heard, without its CRC.

    None if it is not there, or not whole. Bytes around it are noise, or answers of
    others.
    """
    refusal = bytes([asked.unit, asked.function | _FLAG])
    starts = (
        (asked.begins, asked.length),
        (refusal, _EXCEPTION_LENGTH),
    )
    for begins, length in starts:
        at = heard.find(begins)
        while at >= 0:
            found = heard[at : at + length]
            if len(found) == length and crc16(found[:-_CRC]) == found[-_CRC:]:
                return found[:-_CRC]
            at = heard.find(begins, at + 1)
    return None


def exception_of(answer: bytes) -> int | None:
    """Return the code of an answer that is an exception."""
    return answer[_HEAD] if answer[1] & _FLAG else None
