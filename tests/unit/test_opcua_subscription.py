"""The publish engine keeps the order of messages and loses none silently."""

import asyncio
from typing import cast

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

from lineshaft.core.errors import Unreachable
from lineshaft.core.point import Point
from lineshaft.core.reading import Value
from lineshaft.network.drivers.opcua.hearing.items import Wish, request_of
from lineshaft.network.drivers.opcua.hearing.subscription import (
    Stream,
    Subscriptions,
    sequence_after,
)
from lineshaft.network.drivers.opcua.places import Place
from lineshaft.network.drivers.opcua.security import Settings
from lineshaft.network.drivers.opcua.session import Session
from lineshaft.network.drivers.opcua.wire.messages import decode_published

LAST = 0xFFFF_FFFF
POINTS = [Point(name="a/b", address="i=1")]


def message(sequence: int, *values: float) -> ua.NotificationMessage:
    items = [
        ua.MonitoredItemNotification(0, ua.DataValue(ua.Variant(value)))
        for value in values
    ]
    notice = ua.DataChangeNotification(MonitoredItems=items)
    return ua.NotificationMessage(
        SequenceNumber=sequence, NotificationData=[notice] if values else []
    )


def published(sequence: int, *values: float, available: tuple[int, ...] = ()) -> bytes:
    response = ua.PublishResponse()
    response.Parameters.SubscriptionId = 7
    response.Parameters.AvailableSequenceNumbers = list(available)
    response.Parameters.NotificationMessage = message(sequence, *values)
    return cast("bytes", struct_to_binary(response))


class Shelf:
    """A session whose server keeps some messages for republishing."""

    url = "opc.tcp://a:1"
    timeout_s = 1.0

    def __init__(self, kept: dict[int, float]) -> None:
        self.kept = kept
        self.asked: list[int] = []

    async def ask(self, request: object, _action: str, _timeout_s: float) -> bytes:
        assert isinstance(request, ua.RepublishRequest)
        number = request.Parameters.RetransmitSequenceNumber
        self.asked.append(number)
        if number not in self.kept:
            raise Unreachable("a:1 answered OPC UA BadMessageNotAvailable")
        response = ua.RepublishResponse()
        response.NotificationMessage = message(number, self.kept[number])
        return cast("bytes", struct_to_binary(response))


async def hear(
    shelf: Shelf, *bodies: bytes, expected: int | None = None
) -> list[Value]:
    """Return what is heard when these messages come in this order."""
    settings = Settings(url="opc.tcp://a:1")
    device = Subscriptions(cast("Session", shelf), settings, POINTS)
    device._streams[7] = Stream(7, 60.0, asyncio.get_running_loop().time(), expected)
    for body in bodies:
        await device._take(decode_published(body), body)
    heard: list[Value] = []
    while not device._waiting.empty():
        said = device._waiting.get_nowait()
        assert not isinstance(said, Exception)
        heard += [value for value in said.values if value is not None]
    return heard


async def test_messages_are_heard_in_their_order() -> None:
    shelf = Shelf({})
    assert await hear(shelf, published(1, 1.0, 2.0), published(2, 3.0)) == [1, 2, 3]
    assert not shelf.asked


async def test_a_missing_message_is_asked_for_and_heard_in_its_place() -> None:
    shelf = Shelf({2: 2.0, 3: 3.0})
    bodies = published(1, 1.0), published(4, 4.0), published(5, 5.0)
    assert await hear(shelf, *bodies) == [1, 2, 3, 4, 5]
    assert shelf.asked == [2, 3]


async def test_a_message_that_comes_late_after_it_was_asked_for_is_heard_once() -> None:
    bodies = published(1, 1.0), published(3, 3.0), published(2, 2.0), published(4, 4.0)
    assert await hear(Shelf({2: 2.0}), *bodies) == [1, 2, 3, 4]


async def test_a_message_that_is_gone_ends_the_connection() -> None:
    with pytest.raises(Unreachable, match="BadMessageNotAvailable"):
        await hear(Shelf({}), published(1, 1.0), published(3, 3.0))


async def test_a_keep_alive_tells_of_a_message_that_was_lost() -> None:
    bodies = published(1, 1.0), published(3, available=(2,))
    assert await hear(Shelf({2: 2.0}), *bodies) == [1, 2]


async def test_a_keep_alive_that_is_wrong_by_one_harms_nothing() -> None:
    shelf = Shelf({})
    bodies = published(1, 1.0), published(3), published(1), published(2, 2.0)
    assert await hear(shelf, *bodies) == [1, 2]
    assert not shelf.asked


async def test_numbers_begin_again_with_one_after_the_last() -> None:
    bodies = published(LAST, 1.0), published(1, 2.0), published(2, 3.0)
    assert await hear(Shelf({}), *bodies, expected=LAST) == [1, 2, 3]
    assert sequence_after(LAST) == 1


async def test_a_status_change_ends_the_connection_with_its_reason() -> None:
    response = ua.PublishResponse()
    response.Parameters.SubscriptionId = 7
    response.Parameters.NotificationMessage.SequenceNumber = 1
    response.Parameters.NotificationMessage.NotificationData = [
        ua.StatusChangeNotification(Status=ua.StatusCode(ua.StatusCodes.BadTimeout))
    ]
    with pytest.raises(Unreachable, match="BadTimeout"):
        await hear(Shelf({}), struct_to_binary(response))


def test_a_deadband_is_given_to_the_server_in_raw_units() -> None:
    point = Point(name="a/b", address="i=1", scale=-0.1, deadband=2.0)
    asked = request_of(Wish.of(0, Place(ua.NodeId(1)), point), 10).RequestedParameters
    assert asked.Filter.DeadbandValue == pytest.approx(20.0)
    assert asked.Filter.DeadbandType == ua.DeadbandType.Absolute
