"""The roads of RTU frames: a serial port, or a TCP connection to a device server.

The only file that imports pyserial.
"""

import asyncio
import os
import select
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, cast

from typing_extensions import override

if TYPE_CHECKING:
    from serial import Serial

from lineshaft.core.errors import Unreachable
from lineshaft.network.drivers.modbus.settings import Parity, Settings

_PARITY = {Parity.EVEN: "E", Parity.ODD: "O", Parity.NONE: "N"}
_MOST_READ = 4096
_GROUP = "dialout"


class Road(Protocol):
    """Carries bytes; `Unreachable` when it is gone."""

    where: str
    """What people call it."""

    async def send(self, data: bytes) -> None:
        """Return when the data was handed to the operating system."""

    async def hear(self) -> bytes:
        """Wait for at least one byte; return what came."""

    def drain(self) -> bytes:
        """Return what came and was not asked for yet, without waiting."""


class _Ear:
    """Keeps what came until somebody asks for it."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._heard = bytearray()
        self._news = asyncio.Event()
        self._fault = ""

    def take(self, data: bytes) -> None:
        """Keep it; nobody waits for more than the last few frames."""
        self._heard += data
        del self._heard[:-_MOST_READ]
        self._news.set()

    def lose(self, fault: str) -> None:
        """Let everyone know that nothing more will come."""
        self._fault = self._fault or fault
        self._news.set()

    async def hear(self) -> bytes:
        """Wait for at least one byte; return what came."""
        await self._news.wait()
        return self.drain()

    def drain(self) -> bytes:
        """Return what came and was not asked for yet, without waiting."""
        data = bytes(self._heard)
        self._heard.clear()
        if not data and self._fault:
            raise Unreachable(self._fault)
        if not self._fault:
            self._news.clear()
        return data


class TcpRoad(_Ear, asyncio.Protocol):
    """RTU frames in a TCP stream."""

    _transport: asyncio.Transport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self.take(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lose(f"{self.where} closed the connection")

    async def send(self, data: bytes) -> None:
        """Hand the data to the operating system; a frame always has room there."""
        self._transport.write(data)


class SerialRoad(_Ear):
    """RTU frames on a serial port."""

    def __init__(self, where: str, port: "Serial") -> None:
        super().__init__(where)
        self._port = port

    def on_news(self) -> None:
        """Keep what has come; the loop calls it whenever something has."""
        try:
            data = os.read(self._port.fileno(), _MOST_READ)
        except BlockingIOError:
            return
        except OSError as error:
            data, reason = b"", error.strerror or str(error)
        else:
            reason = ""
        if data:
            self.take(data)
        elif reason or self._is_hung_up():
            # An empty read alone says only that somebody else has read it already.
            asyncio.get_running_loop().remove_reader(self._port.fileno())
            self.lose(f"{self.where} is gone: {reason or 'it was unplugged'}")

    def _is_hung_up(self) -> bool:
        poll = select.poll()
        poll.register(self._port.fileno(), 0)
        return bool(poll.poll(0))

    @override
    def drain(self) -> bytes:
        """Return what came and was not asked for yet, without waiting."""
        if not self._fault and self._port.in_waiting:
            self.on_news()  # the loop has not seen it yet
        return super().drain()

    async def send(self, data: bytes) -> None:
        """Return when the data was handed to the operating system."""
        loop, left = asyncio.get_running_loop(), data
        while left:
            try:
                left = left[os.write(self._port.fileno(), left) :]
            except BlockingIOError:
                room = asyncio.Event()
                loop.add_writer(self._port.fileno(), room.set)
                try:
                    await room.wait()
                finally:
                    loop.remove_writer(self._port.fileno())
            except OSError as error:
                raise Unreachable(f"{self.where} is gone: {error.strerror}") from error


@asynccontextmanager
async def open_road(settings: Settings) -> AsyncIterator[Road]:
    """Open the serial port or the connection; leaving the block closes it."""
    if settings.serial:
        with _open_port(settings) as port:
            road = SerialRoad(settings.serial, port)
            loop = asyncio.get_running_loop()
            loop.add_reader(port.fileno(), road.on_news)
            try:
                yield road
            finally:
                loop.remove_reader(port.fileno())
        return
    transport, tcp = await _connect(settings)
    try:
        yield tcp
    finally:
        transport.close()


def _open_port(settings: Settings) -> "Serial":
    # It takes 20 ms to import, which only a serial line needs.
    import serial  # noqa: PLC0415

    where = settings.serial
    try:
        return serial.Serial(
            where,
            settings.baud,
            parity=_PARITY[settings.parity],
            stopbits=settings.stop_bits,
            timeout=0,
            # Two masters on one line would answer one another's questions.
            exclusive=True,
        )
    except (serial.SerialException, termios.error) as error:
        raise Unreachable(f"{where} cannot be opened: {_reason(error)}") from error
    except (ValueError, OSError) as error:
        raise Unreachable(f"{where} cannot be opened: {error}") from error


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if "exclusively lock" in str(error):
        return (
            "another program, or another device table, uses it; give all units of "
            "one line to one table"
        )
    if number is None:
        return f"{error}; is it a serial port?"
    hint = {
        2: "; is the adapter plugged in?",
        13: f"; add this user to the group {_GROUP}",
    }.get(number, "")
    return f"{os.strerror(number)}{hint}"


async def _connect(settings: Settings) -> tuple[asyncio.Transport, TcpRoad]:
    where = f"{settings.host}:{settings.port}"
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(settings.timeout_s):
            return await loop.create_connection(
                lambda: TcpRoad(where), settings.host, settings.port
            )
    except TimeoutError as error:
        raise Unreachable(
            f"{where} did not take a connection within {settings.timeout_s:g} s; "
            "is it switched on, and is the address right?"
        ) from error
    except OSError as error:
        # asyncio puts its own words into `strerror`; name look-ups have no errno.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or error
        raise Unreachable(f"{where} cannot be connected: {reason}") from error
