"""One Modbus TCP connection: a question at a time, and no answer believed too soon.

The client of pymodbus frames the requests. It would accept an answer to another
function, of another length or with transaction 0, and would wait out the time when
the device closes the connection; so every packet is compared here with what the
answer must be before pymodbus sees it, and the connection is given up at the first
byte that does not fit.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.network.drivers.modbus.address import Area
from lineshaft.network.drivers.modbus.codec import expected_answer

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
_ACKNOWLEDGE = 5
GATEWAY = {10, 11}
_EXCEPTIONS = {
    ILLEGAL_FUNCTION: "illegal function",
    ILLEGAL_ADDRESS: "illegal data address",
    ILLEGAL_VALUE: "illegal data value",
    4: "device failure",
    _ACKNOWLEDGE: "accepted, but not done yet",
    6: "device busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target failed to respond",
}
"""MODBUS Application Protocol V1.1b3, 7."""
_PAYLOAD = 9
"""Where the payload of an answer to a read begins."""
_SHOWN = 16
_FLAG = 0x80


class Answered(Refused):
    """The device answered with a Modbus exception."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(exception_text(code))


def exception_text(code: int) -> str:
    """Return what an exception code means."""
    return f"Modbus exception {code}: {_EXCEPTIONS.get(code, 'not in the standard')}"


class _Coils(ModbusPDU):
    """An answer that is taken from its packet: pymodbus need not unpack it."""

    function_code = 1


class _Discretes(_Coils):
    function_code = 2


class _Holdings(_Coils):
    function_code = 3


class _Inputs(_Coils):
    function_code = 4


class Connection:
    """Asks; raises `Answered` for an exception and `Unreachable` for all else.

    After `Unreachable` for silence or nonsense the connection is closed: a late
    answer must never be taken for the answer to the next question.
    """

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.where = f"{host}:{port}"
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._fault = ""
        self._head, self._length = b"", 0
        self._heard = b""
        self._patience: asyncio.Timeout | None = None
        self._client = AsyncModbusTcpClient(
            host,
            port=port,
            name=self.where,
            retries=0,
            reconnect_delay=0,
            # Ours runs out first; it can be ended early, when the line is cut.
            timeout=timeout_s + 60,
            trace_packet=self._watch,
            trace_connect=self._notice,
        )
        for kind in (_Coils, _Discretes, _Holdings, _Inputs):
            self._client.register(kind)

    async def open(self) -> None:
        """Connect; `Unreachable` says why it cannot."""
        # Not `client.connect()`: it logs the reason and only returns False.
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._client.ctx.call_create()
        except TimeoutError as error:
            raise Unreachable(
                f"{self.where} did not take a connection within {self._timeout_s:g} s; "
                "is it switched on, and is the address right?"
            ) from error
        except OSError as error:
            # asyncio puts its own words into `strerror`; name look-ups have no errno.
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else error.strerror or error
            raise Unreachable(f"{self.where} cannot be connected: {reason}") from error

    def close(self) -> None:
        """Close it; harmless when it is closed already."""
        self._fault = self._fault or f"the connection to {self.where} is closed"
        self._client.close()

    async def read(self, unit: int, area: Area, start: int, count: int) -> bytes:
        """Return the bytes of registers, or bits packed into bytes (FC 1 to 4)."""
        ask = {
            Area.COIL: self._client.read_coils,
            Area.DISCRETE: self._client.read_discrete_inputs,
            Area.INPUT: self._client.read_input_registers,
            Area.HOLDING: self._client.read_holding_registers,
        }[area]
        async with self._lock:
            self._check_open()
            await self._transact(ask(start, count=count, device_id=unit), unit)
            return self._heard[_PAYLOAD:]

    async def write_coil(
        self, unit: int, offset: int, *, on: bool, multiple: bool
    ) -> None:
        """Write one bit: FC 5, or FC 15 where a device knows only that."""
        client = self._client
        async with self._lock:
            self._check_open()
            if multiple:
                request = client.write_coils(offset, [on], device_id=unit)
            else:
                request = client.write_coil(offset, on, device_id=unit)
            await self._transact(request, unit)

    async def write_registers(
        self, unit: int, offset: int, words: Sequence[int], *, multiple: bool
    ) -> None:
        """Write registers: one of them by FC 6 unless `multiple`, else FC 16."""
        client = self._client
        async with self._lock:
            self._check_open()
            if multiple or len(words) > 1:
                request = client.write_registers(offset, list(words), device_id=unit)
            else:
                request = client.write_register(offset, words[0], device_id=unit)
            await self._transact(request, unit)

    async def write_bit(self, unit: int, offset: int, bit: int, *, on: bool) -> None:
        """Change one bit of a register, by FC 22.

        A device that does not know FC 22 gets the whole register back with that bit
        changed; nothing else that is written through this connection can come between.
        """
        mask = 1 << bit
        client = self._client
        async with self._lock:
            self._check_open()
            request = client.mask_write_register(
                address=offset,
                and_mask=0xFFFF ^ mask,
                or_mask=mask if on else 0,
                device_id=unit,
            )
            try:
                await self._transact(request, unit)
            except Answered as refusal:
                if refusal.code != ILLEGAL_FUNCTION:
                    raise
            else:
                return
            question = client.read_holding_registers(offset, count=1, device_id=unit)
            await self._transact(question, unit)
            old = int.from_bytes(self._heard[_PAYLOAD:], "big")
            word = old | mask if on else old & ~mask
            request = client.write_register(offset, word, device_id=unit)
            await self._transact(request, unit)

    def _check_open(self) -> None:
        if self._fault:
            raise Unreachable(self._fault)

    async def _transact(self, request: Awaitable[ModbusPDU], unit: int) -> None:
        """Send one request and wait until its whole answer is in `_heard`."""
        self._heard = b""
        answered = False
        try:
            async with asyncio.timeout(self._timeout_s) as self._patience:
                answer = await request
            answered = True
        except (TimeoutError, ModbusException) as error:
            raise Unreachable(self._fault or self._silence(unit)) from error
        finally:
            self._patience = None
            if not answered:
                # Also when cancelled: the answer may still be on its way.
                self.close()
        if answer.isError():
            self._raise_exception(answer.exception_code, unit)

    def _silence(self, unit: int) -> str:
        heard = f" (only {len(self._heard)} bytes of it)" if self._heard else ""
        return (
            f"unit {unit} at {self.where} did not answer "
            f"within {self._timeout_s:g} s{heard}"
        )

    def _raise_exception(self, code: int, unit: int) -> None:
        if code in GATEWAY:
            raise Unreachable(f"unit {unit} at {self.where}: {exception_text(code)}")
        raise Answered(code)

    def _watch(self, sending: bool, packet: bytes) -> bytes:  # noqa: FBT001 - pymodbus calls it so
        """Let a packet pass once it is whole and is the answer that is waited for."""
        if sending:
            self._head, self._length = expected_answer(packet)
            return packet
        if self._fault:
            return b""
        head, length = self._head, self._length
        if head and packet[7:8] and packet[7] & _FLAG:
            head = head[:4] + b"\0\3" + head[6:7] + bytes([head[7] | _FLAG])
            length = _PAYLOAD
        begins = packet[: len(head)]
        if not head.startswith(begins) or len(packet) > length:
            self._give_up(
                f"{self.where} sent bytes that do not answer the question: "
                f"{packet[:_SHOWN].hex(' ')}"
            )
            return b""
        self._heard = packet
        if len(packet) < length:
            return b""
        # Whatever comes before the next question answers nothing.
        self._head, self._length = b"", 0
        return packet

    def _notice(self, connected: bool) -> None:  # noqa: FBT001 - pymodbus calls it so
        if not connected:
            self._give_up(f"{self.where} closed the connection")

    def _give_up(self, reason: str) -> None:
        self._fault = self._fault or reason
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time())


@asynccontextmanager
async def open_connection(
    host: str, port: int, timeout_s: float
) -> AsyncIterator[Connection]:
    """Open a connection; leaving the block closes it."""
    # Whatever pymodbus would log, we raise; it must not be told twice.
    logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
    connection = Connection(host, port, timeout_s)
    try:
        await connection.open()
        yield connection
    finally:
        connection.close()
