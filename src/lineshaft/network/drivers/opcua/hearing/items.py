"""What a server is asked to watch for us: monitored items (IEC 62541-4, 5.12)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary

from lineshaft.core.point import Kind, Point
from lineshaft.network.drivers.opcua.places import Place
from lineshaft.network.drivers.opcua.session import (
    Session,
    in_parts,
    translated,
    value_of,
)

_CODES = ua.StatusCodes
_REFUSED_FILTERS = {
    _CODES.BadFilterNotAllowed,
    _CODES.BadMonitoredItemFilterInvalid,
    _CODES.BadMonitoredItemFilterUnsupported,
    _CODES.BadDeadbandFilterInvalid,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """A point as a server is asked for it."""

    point: int
    place: Place
    sampling_s: float
    deadband: float = 0.0
    """In raw units; 0 to hear every change."""

    @classmethod
    def of(cls, position: int, place: Place, point: Point) -> "Wish":
        """Return what to ask for so that `point` is served."""
        numeric = point.type in {Kind.FLOAT, Kind.INT} and point.scale
        deadband = point.deadband / abs(point.scale) if numeric else 0.0
        return cls(position, place, point.period_s, deadband)

    def without_filter(self) -> "Wish":
        """Return the same, to hear every change."""
        return replace(self, deadband=0.0)


def filter_was_refused(code: int) -> bool:
    """Whether a status code means that the item can be had, but not its filter."""
    return code in _REFUSED_FILTERS


def request_of(wish: Wish, queue_size: int) -> ua.MonitoredItemCreateRequest:
    """Return the request that creates the item; its client handle is the point."""
    asked = ua.MonitoringParameters(
        ClientHandle=wish.point,
        SamplingInterval=wish.sampling_s * 1000,
        QueueSize=queue_size,
        DiscardOldest=True,
    )
    if wish.deadband:
        asked.Filter = ua.DataChangeFilter(
            Trigger=ua.DataChangeTrigger.StatusValue,
            DeadbandType=ua.DeadbandType.Absolute,
            DeadbandValue=wish.deadband,
        )
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=value_of(wish.place.node, part=wish.place.range),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=asked,
    )


async def create_items(
    session: Session, subscription: int, asked: Sequence[ua.MonitoredItemCreateRequest]
) -> list[int]:
    """Create the items in a subscription; return the status code of each."""

    async def create(part: Sequence[ua.MonitoredItemCreateRequest]) -> list[int]:
        request = ua.CreateMonitoredItemsRequest()
        request.Parameters.SubscriptionId = subscription
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.ItemsToCreate = list(part)
        action = "asking for points"
        body = await session.ask(request, action, session.timeout_s)
        with translated(session.url, action):
            answer = struct_from_binary(ua.CreateMonitoredItemsResponse, Buffer(body))
        return [result.StatusCode.value for result in answer.Results]

    return await in_parts(asked, session.limits.monitor, create)
