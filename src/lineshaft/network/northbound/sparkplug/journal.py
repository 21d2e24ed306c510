"""Where we are in the stream of readings, and what of it has still to be told.

While nobody listens, frames go from the bus into the store, since the bus keeps them
for some minutes only. While somebody does, they are told, and our place moves when the
broker has taken them: what was under way when a connection is lost is read again.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from lineshaft.core.bus import READINGS, Bus, Message
from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.frame import decode_frame
from lineshaft.network.northbound.mirror import Said, said_in
from lineshaft.network.northbound.sparkplug.node import EdgeNode
from lineshaft.network.northbound.sparkplug.store import Place, Store, Waiting

log = logging.getLogger(__name__)

RETRY_AFTER_S = 1.0
IDLE_S = 5.0
"""Longer than a bus that has something takes to give it."""
PAST_AT_ONCE = 5000
"""Readings of the past between two confirmations: a slow road takes them in time."""


class Heard(NamedTuple):
    """A frame from the bus, and what it says."""

    waiting: Waiting
    said: Sequence[Said]


class Journal:
    """Our place, and what waits; `node` learns from it what is now."""

    def __init__(self, bus: Bus, store: Store, node: EdgeNode) -> None:
        self._bus = bus
        self._store = store
        self._node = node
        self._position = {s.point.name: at for at, s in enumerate(node.shapes)}
        self._place = Place("", 0)
        self.trouble = ""
        """Why nothing can be stored; empty while all is well."""

    @property
    def readings(self) -> int:
        """Return how many readings wait."""
        return self._store.readings

    @property
    def dropped(self) -> int:
        """Return how many readings had to go unsaid."""
        return self._store.dropped

    async def begin(self) -> None:
        """Find our place: where we were, or the end of the stream in our first life.

        A stream that was made anew is read from its begin, since all of it is news.
        """
        stream = await self._bus.identity(READINGS)
        known = await asyncio.to_thread(self._store.place)
        if known is None:
            known = Place(stream, await self._bus.last_sequence(READINGS))
            await asyncio.to_thread(self._store.reach, known)
        self._place = known if known.stream == stream else Place(stream, 0)

    async def next_session(self) -> int:
        """Return the bdSeq of the next session."""
        return await asyncio.to_thread(self._store.next_session)

    async def absorb(self) -> None:
        """Store what comes, for ever."""
        while True:
            try:
                async with aclosing(self._batches()) as batches:
                    async for batch in batches:
                        await self._keep(batch)
            except Unreachable as error:
                log.debug("sparkplug: %s", error)
                self.trouble = str(error)
                await asyncio.sleep(RETRY_AFTER_S)

    async def catch_up(self) -> None:
        """Store what is there now; after this, what comes is news."""
        last = await self._bus.last_sequence(READINGS)
        async with aclosing(self._batches()) as batches:
            while self._place.sequence < last:
                try:
                    async with asyncio.timeout(IDLE_S):
                        batch = await anext(batches)
                except TimeoutError:
                    return  # the bus has forgotten what was there
                await self._keep(batch)

    async def live(self) -> AsyncGenerator[list[Heard], None]:
        """Yield what comes, for ever; a batch is done when the next one is asked for.

        What is said of a device that is not born is stored then.
        """
        async with aclosing(self._batches()) as batches:
            async for batch in batches:
                heard = list(self._heard_in(batch))
                # A device that is born while the broker takes the rest says nothing
                # of this batch, so who is born now decides.
                born = frozenset(self._node.born)
                yield heard
                later = [h.waiting for h in heard if h.waiting.device not in born]
                place = self._place._replace(sequence=batch[-1].sequence)
                if later:
                    await asyncio.to_thread(self._store.keep, later, place)
                self._place = place

    async def past(self) -> AsyncGenerator[Iterator[tuple[str, list[Said]]], None]:
        """Yield devices and what they said, oldest first, until none of it waits.

        Only of devices that are born. What was yielded is forgotten when the next is
        asked for; it is read from its bytes one by one.
        """
        while self._store.readings:
            devices = list(self._node.born)
            rows = await asyncio.to_thread(self._store.oldest, devices, PAST_AT_ONCE)
            rows = [row for row in rows if row[1] in self._node.born]
            if not rows:
                return
            yield ((device, self._said_in(data)) for _, device, data in rows)
            numbers = [number for number, _, _ in rows]
            await asyncio.to_thread(self._store.remove, numbers)

    async def remember(self) -> None:
        """Write our place to the disk, so that our next life knows it."""
        await asyncio.to_thread(self._store.reach, self._place)

    async def _batches(self) -> AsyncGenerator[list[Message], None]:
        after = self._place.sequence
        async for batch in self._bus.batches(READINGS, after=after):
            yield batch

    async def _keep(self, batch: Sequence[Message]) -> None:
        heard = list(self._heard_in(batch))
        place = self._place._replace(sequence=batch[-1].sequence)
        waiting = [each.waiting for each in heard]
        await asyncio.to_thread(self._store.keep, waiting, place)
        self._place, self.trouble = place, ""
        for each in heard:
            self._node.take(each.said)

    def _heard_in(self, batch: Sequence[Message]) -> Iterator[Heard]:
        """Yield the frames of a batch that tell of our points, and no imports."""
        for message in batch:
            try:
                frame = decode_frame(message.data)
            except Refused:
                continue  # the historian tells of it
            said = [] if frame.is_import else list(said_in(frame, self._position))
            if said:
                device = self._node.shapes[said[0].position].device
                kept = Waiting(message.sequence, device, len(said), message.data)
                yield Heard(kept, said)

    def _said_in(self, data: bytes) -> list[Said]:
        try:
            return list(said_in(decode_frame(data), self._position))
        except Refused:
            return []
