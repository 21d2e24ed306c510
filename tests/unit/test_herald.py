"""What a device says has happened becomes events of the plant, once."""

from collections.abc import AsyncIterator

from lineshaft.core.event import Event, Severity, decode_event
from lineshaft.network.device import Occurrence
from lineshaft.network.herald import Herald
from lineshaft.network.outbox import Parcel


class Pillarbox:
    def __init__(self) -> None:
        self.parcels: list[Parcel] = []

    async def post(self, parcel: Parcel) -> None:
        self.parcels.append(parcel)

    @property
    def events(self) -> list[Event]:
        return [decode_event(parcel.data) for parcel in self.parcels]


class Crier:
    """Says some things and ends."""

    def __init__(self, *said: Occurrence) -> None:
        self.said = said

    async def announce(self) -> AsyncIterator[Occurrence]:
        for each in self.said:
            yield each


def door(identity: str, **more: object) -> Occurrence:
    told = {"source": "Door", "text": "open", "time_us": 7, **more}
    return Occurrence(id=identity, **told)  # type: ignore[arg-type]  # a test's words


async def test_an_occurrence_is_posted_with_device_source_and_time() -> None:
    box = Pillarbox()
    alarm = door("1", is_alarm=True, severity=Severity.ERROR, detail={"active": True})
    await Herald("press", box).pass_on(Crier(door("0"), alarm))
    first, second = box.events
    assert (first.kind, first.source, first.text) == (
        "device.event",
        "press",
        "Door: open",
    )
    assert first.time_us == 7
    assert (second.kind, second.severity) == ("device.alarm", Severity.ERROR)
    assert second.detail == {"source": "Door", "active": True}
    assert [parcel.subject for parcel in box.parcels] == [
        "events.device.event",
        "events.device.alarm",
    ]


async def test_two_at_the_same_moment_are_two_messages() -> None:
    box = Pillarbox()
    await Herald("press", box).pass_on(Crier(door("1"), door("2")))
    assert len({parcel.id for parcel in box.parcels}) == 2
    assert {parcel.readings for parcel in box.parcels} == {0}


async def test_what_is_told_again_after_a_reconnect_is_passed_on_once() -> None:
    box = Pillarbox()
    herald = Herald("press", box)
    await herald.pass_on(Crier(door("1")))
    await herald.pass_on(Crier(door("1"), door("2")))
    assert len(box.parcels) == 2


async def test_the_same_thing_of_two_devices_is_two_messages() -> None:
    box = Pillarbox()
    for name in ("press", "saw"):
        await Herald(name, box).pass_on(Crier(door("1")))
    assert len({parcel.id for parcel in box.parcels}) == 2
