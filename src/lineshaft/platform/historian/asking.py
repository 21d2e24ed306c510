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
from lineshaft.core.reading import Reading, Status, Value
from lineshaft.core.series import Aggregate, Buckets, Format, Series


class Last(msgspec.Struct, frozen=True):
    """Asks on `historian.last`."""

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


class Export(msgspec.Struct, frozen=True):
    """Asks on `historian.export`."""

    pattern: str
    start_us: int
    end_us: int
    form: Format


PATIENCE_S = 30.0
STARTS_WITHIN_S = 5.0
"""How long nobody may be there to answer before the asker is told so."""
Question = Last | Raw | InBuckets | Export
_Row = tuple[str, Value | None, Status, int, str]
_encoder = msgspec.msgpack.Encoder()


class _Buckets(msgspec.Struct, array_like=True):
    name: str
    unit: str
    every_us: int
    start: bytes
    columns: dict[Aggregate, bytes]


def pack(message: object) -> bytes:
    """Return a question as MessagePack."""
    return _encoder.encode(message)


def pack_readings(readings: list[Reading]) -> bytes:
    """Return readings as MessagePack."""
    return _encoder.encode(
        [(r.name, r.value, r.status, r.time_us, r.unit) for r in readings]
    )


def unpack_readings(data: bytes) -> list[Reading]:
    """Return what `pack_readings` was given; `Refused` for anything else."""
    with _translated():
        rows = read_msgpack(data, list[_Row], "an answer of the historian")
        return [Reading(*row) for row in rows]


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


def pack_buckets(buckets: list[Buckets]) -> bytes:
    """Return buckets as MessagePack with columns of little-endian numbers."""
    return _encoder.encode(
        [
            _Buckets(
                each.name,
                each.unit,
                each.every_us,
                each.start.astype("<i8").tobytes(),
                {
                    name: column.astype("<f8").tobytes()
                    for name, column in each.columns.items()
                },
            )
            for each in buckets
        ]
    )


def unpack_buckets(data: bytes) -> list[Buckets]:
    """Return what `pack_buckets` was given; `Refused` for anything else."""
    with _translated():
        return _buckets_of(data)


def _buckets_of(data: bytes) -> list[Buckets]:
    return [
        Buckets(
            each.name,
            each.unit,
            each.every_us,
            np.frombuffer(each.start, "<i8"),
            {
                name: np.frombuffer(column, "<f8")
                for name, column in each.columns.items()
            },
        )
        for each in read_msgpack(data, list[_Buckets], "an answer of the historian")
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

    async def last(self, pattern: str) -> list[Reading]:
        """Return the newest reading of each point; see `History.last`."""
        return unpack_readings(await self._ask("last", Last(pattern)))

    async def raw(
        self, name: str, start_us: int, end_us: int, limit: int = 100_000
    ) -> Series:
        """Return every reading of the span; see `History.raw`."""
        question = Raw(name, start_us, end_us, limit)
        return unpack_series([await self._ask("raw", question)])

    async def buckets(
        self, names: Sequence[str], start_us: int, end_us: int, every_us: int
    ) -> list[Buckets]:
        """Return all aggregates over buckets; see `History.buckets`."""
        question = InBuckets(tuple(names), start_us, end_us, every_us)
        return unpack_buckets(await self._ask("buckets", question))

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
