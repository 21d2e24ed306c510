"""What happened: the newest events, and whoever wants to hear of the next ones."""

import asyncio
from collections import deque
from collections.abc import Callable
from fnmatch import fnmatchcase
from itertools import islice

from lineshaft.core.bus import EVENTS, Bus
from lineshaft.core.errors import Refused
from lineshaft.core.event import decode_event
from lineshaft.core.reading import iso
from lineshaft.web.shapes import EventView

KEPT = 2_000


class EventBook:
    """A service: `run` follows the events until it is cancelled."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._events: deque[EventView] = deque(maxlen=KEPT)
        self._listeners: set[asyncio.Queue[EventView]] = set()

    async def run(self) -> None:
        """Follow the events for ever, beginning with the newest that are stored."""
        newest = await self._bus.last_sequence(EVENTS)
        async for batch in self._bus.batches(EVENTS, after=max(0, newest - KEPT)):
            for message in batch:
                try:
                    event = decode_event(message.data)
                except Refused:
                    continue  # not one of ours
                view = EventView(
                    event.kind,
                    event.source,
                    event.text,
                    event.severity,
                    iso(event.time_us),
                    event.detail,
                    event.code,
                )
                self._events.append(view)
                # What was stored before a page came is not news to it.
                if message.sequence > newest:
                    self._tell(view)

    def newest(
        self, limit: int, kind: str, sees: Callable[[EventView], bool] = lambda _: True
    ) -> list[EventView]:
        """Return events of the kinds that the pattern means, newest first.

        Only those are among them that whoever asks `sees`.
        """
        found = (e for e in reversed(self._events) if fnmatchcase(e.kind, kind))
        return list(islice(filter(sees, found), limit))

    def listen(self) -> asyncio.Queue[EventView]:
        """Return a queue of what happens from now on; give it back to `forget`."""
        queue: asyncio.Queue[EventView] = asyncio.Queue(KEPT)
        self._listeners.add(queue)
        return queue

    def forget(self, queue: asyncio.Queue[EventView]) -> None:
        """Stop telling."""
        self._listeners.discard(queue)

    def _tell(self, view: EventView) -> None:
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()  # a page that is this far behind sees the newest
            queue.put_nowait(view)
