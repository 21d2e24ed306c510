"""What a device says has happened, passed on as events of the plant."""

from collections import OrderedDict
from typing import Protocol

from lineshaft.core.event import Event, encode_event
from lineshaft.network.device import Announces, Occurrence
from lineshaft.network.outbox import Parcel

MOST_REMEMBERED = 20_000


class PostsParcels(Protocol):
    """What a herald needs from the outbox."""

    async def post(self, parcel: Parcel) -> None:
        """Return once the message is safe."""


class Herald:
    """Passes on what one connection says, each thing once.

    A device tells the alarms that stand again at each connection; what was passed on
    already is remembered for as long as the process lives.
    """

    def __init__(self, device: str, outbox: PostsParcels) -> None:
        self._device = device
        self._outbox = outbox
        self._told: OrderedDict[str, None] = OrderedDict()

    async def pass_on(self, device: Announces) -> None:
        """Pass on all that it says, for ever."""
        async for occurrence in device.announce():
            if occurrence.id in self._told:
                self._told.move_to_end(occurrence.id)
                continue
            event = self._event(occurrence)
            number = f"{event.kind}:{self._device}:{occurrence.id}"
            await self._outbox.post(
                Parcel(f"events.{event.kind}", encode_event(event), number, 0)
            )
            self._told[occurrence.id] = None
            if len(self._told) > MOST_REMEMBERED:
                self._told.popitem(last=False)

    def _event(self, occurrence: Occurrence) -> Event:
        return Event(
            kind="device.alarm" if occurrence.is_alarm else "device.event",
            source=self._device,
            severity=occurrence.severity,
            text=f"{occurrence.source}: {occurrence.text}",
            time_us=occurrence.time_us,
            detail={"source": occurrence.source, **occurrence.detail},
        )
