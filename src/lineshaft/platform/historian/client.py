"""The past, asked for over the bus: for rooms that do not have it."""

from collections.abc import AsyncIterator, Sequence

from lineshaft.core.bus import Asks
from lineshaft.core.reading import Reading
from lineshaft.core.series import Buckets, Format, Series
from lineshaft.platform.historian import wire

PATIENCE_S = 30.0


class HistorianClient:
    """Implements `core.series.History` by asking the historian's process."""

    def __init__(self, bus: Asks) -> None:
        self._bus = bus

    async def last(self, pattern: str) -> list[Reading]:
        """Return the newest reading of each point; see `History.last`."""
        return wire.unpack_readings(await self._ask("last", wire.Last(pattern)))

    async def raw(
        self, name: str, start_us: int, end_us: int, limit: int = 100_000
    ) -> Series:
        """Return every reading of the span; see `History.raw`."""
        question = wire.Raw(name, start_us, end_us, limit)
        return wire.unpack_series([await self._ask("raw", question)])

    async def buckets(
        self, names: Sequence[str], start_us: int, end_us: int, every_us: int
    ) -> list[Buckets]:
        """Return all aggregates over buckets; see `History.buckets`."""
        question = wire.InBuckets(tuple(names), start_us, end_us, every_us)
        return wire.unpack_buckets(await self._ask("buckets", question))

    async def export(
        self, pattern: str, start_us: int, end_us: int, form: Format
    ) -> AsyncIterator[bytes]:
        """Yield a file with every reading of the span; see `History.export`."""
        question = wire.pack(wire.Export(pattern, start_us, end_us, form))
        async for part in self._bus.ask("historian.export", question, PATIENCE_S):
            yield part

    async def _ask(self, what: str, question: wire.Question) -> bytes:
        parts = self._bus.ask(f"historian.{what}", wire.pack(question), PATIENCE_S)
        return b"".join([part async for part in parts])
