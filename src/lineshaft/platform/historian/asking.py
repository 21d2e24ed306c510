"""Questions to the historian over the bus: how they travel, and who asks them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence

import msgspec
import numpy as np

from lineshaft.core.bus import Asks
from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.frame import Frame, decode_frame, encode_frame
from lineshaft.core.message import read_msgpack
from lineshaft.core.series import Aggregate, Buckets, Format, Series


class Last(msgspec.Struct, frozen=True):
    """Asks on `historian.last`."""

    pattern: str


class Names(msgspec.Struct, frozen=True):
    """Asks on `historian.names`."""

    pattern: str


class Raw(msgspec.Struct, frozen=True):
    """Asks on `historian.raw`."""

    name: str
    start_us: int
    end_us: int
    limit: int


class InBuckets(msgspec.Struct, frozen=True):
    """Asks on `historian.buckets`."""

    names: tuple[str, ...]
    start_us: int
    end_us: int
    every_us: int
    wanted: tuple[Aggregate, ...] = tuple(Aggregate)


class Export(msgspec.Struct, frozen=True):
    """Asks on `historian.export`."""

    pattern: str
    start_us: int
    end_us: int
    form: Format


PATIENCE_S = 30.0
STARTS_WITHIN_S = 8.0
"""How long nobody may be there to answer before the asker is told so."""
Question = Last | Names | Raw | InBuckets | Export
_encoder = msgspec.msgpack.Encoder()


class _Buckets(msgspec.Struct, array_like=True):
    names: tuple[str, ...]
    units: tuple[str, ...]
    every_us: int
    start: bytes
    columns: dict[Aggregate, bytes]
    """Of each a line of buckets for each name."""


def pack(message: object) -> bytes:
    """Return a question as MessagePack."""
    return _encoder.encode(message)


def unpack_names(data: bytes) -> list[str]:
    """Return names as `pack` put them together."""
    return read_msgpack(data, list[str], "names of the historian")


def pack_series(series: Series) -> bytes:
    """Return a series in the form of a frame, which every room can read."""
    return encode_frame(
        Frame(
            "historian",
            "more" if series.more else "",
            0,
            (series.name,),
            (series.unit,),
            series.texts,
            series.statuses,
            series.columns,
        )
    )


def unpack_series(parts: list[bytes]) -> Series:
    """Return what `pack_series` was given, in parts; `Refused` for anything else."""
    frame = decode_frame(b"".join(parts))
    more = frame.epoch == "more"
    with _translated():
        [name], [unit] = frame.names, frame.units
    return Series(name, unit, frame.texts, frame.statuses, frame.columns, more)


def pack_buckets(buckets: Sequence[Buckets]) -> bytes:
    """Return answers to one question as MessagePack with columns of numbers."""
    first = buckets[0] if buckets else Buckets("", "", 0, np.empty(0, np.int64), {})
    columns = {
        name: np.stack([each.columns[name] for each in buckets]).astype("<f8").tobytes()
        for name in first.columns
    }
    return _encoder.encode(
        _Buckets(
            tuple(each.name for each in buckets),
            tuple(each.unit for each in buckets),
            first.every_us,
            first.start.astype("<i8").tobytes(),
            columns,
        )
    )


def unpack_buckets(data: bytes) -> list[Buckets]:
    """Return what `pack_buckets` was given; `Refused` for anything else."""
    with _translated():
        wire = read_msgpack(data, _Buckets, "an answer of the historian")
        start = np.frombuffer(wire.start, "<i8")
        shape = (len(wire.names), len(start))
        columns = {
            name: np.frombuffer(column, "<f8").reshape(shape)
            for name, column in wire.columns.items()
        }
        return [
            Buckets(
                name,
                unit,
                wire.every_us,
                start,
                {each: column[line] for each, column in columns.items()},
            )
            for line, (name, unit) in enumerate(
                zip(wire.names, wire.units, strict=True)
            )
        ]


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise Refused(f"this is no answer of the historian: {error}") from error


class HistorianClient:
    """Implements `core.series.History` by asking the historian's process."""

    def __init__(self, bus: Asks) -> None:
        self._bus = bus

    async def last(self, pattern: str) -> Frame:
        """Return the newest reading of each point; see `History.last`."""
        return decode_frame(await self._ask("last", Last(pattern)))

    async def raw(
        self, name: str, start_us: int, end_us: int, limit: int = 100_000
    ) -> Series:
        """Return every reading of the span; see `History.raw`."""
        question = Raw(name, start_us, end_us, limit)
        return unpack_series([await self._ask("raw", question)])

    async def buckets(
        self,
        names: Sequence[str],
        start_us: int,
        end_us: int,
        every_us: int,
        wanted: Sequence[Aggregate] = tuple(Aggregate),
    ) -> list[Buckets]:
        """Return aggregates over buckets; see `History.buckets`."""
        question = InBuckets(tuple(names), start_us, end_us, every_us, tuple(wanted))
        return unpack_buckets(await self._ask("buckets", question))

    async def names(self, pattern: str) -> list[str]:
        """Return the names that an export can have; see `History.names`."""
        return unpack_names(await self._ask("names", Names(pattern)))

    async def export(
        self, pattern: str, start_us: int, end_us: int, form: Format
    ) -> AsyncIterator[bytes]:
        """Yield a file with every reading of the span; see `History.export`."""
        question = pack(Export(pattern, start_us, end_us, form))
        async for part in self._bus.ask("historian.export", question, PATIENCE_S):
            yield part

    async def _ask(self, what: str, question: Question) -> bytes:
        """Ask; a historian that is just being started again is waited for."""
        limit = time.monotonic() + STARTS_WITHIN_S
        while True:
            parts = self._bus.ask(f"historian.{what}", pack(question), PATIENCE_S)
            try:
                return b"".join([part async for part in parts])
            except Unreachable:
                if time.monotonic() >= limit:
                    raise
                await asyncio.sleep(0.2)
