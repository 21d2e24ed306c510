"""What happens in a server: events and alarms (IEC 62541-5, 6.4 and IEC 62541-9)."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from asyncua import ua

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.event import Severity
from lineshaft.core.reading import Status, bad
from lineshaft.network.device import Occurrence
from lineshaft.network.drivers.opcua.address import notifier_of, uri_text
from lineshaft.network.drivers.opcua.asking.calling import Caller
from lineshaft.network.drivers.opcua.hearing.fields import (
    Fields,
    filter_of,
    severity_of,
)
from lineshaft.network.drivers.opcua.hearing.items import (
    create_items,
    filter_was_refused,
)
from lineshaft.network.drivers.opcua.places import Finder, MethodPlace
from lineshaft.network.drivers.opcua.security import Settings
from lineshaft.network.drivers.opcua.session import Session
from lineshaft.network.drivers.opcua.wire.values import Scalar, name_of

_QUEUE = 1000
"""Events that the server keeps for us until it can send them."""
_REFRESH_START, _REFRESH_END, _REFRESH_REQUIRED = "i=2787", "i=2788", "i=2789"
_OVERFLOW = "i=3035"
_CONDITION_REFRESH = MethodPlace(
    ua.NodeId(ua.ObjectIds.ConditionType),
    ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh),
)


@dataclass(slots=True)
class _Notifier:
    address: str
    node: ua.NodeId | Status
    why: str = ""
    """Why it cannot be heard; empty if it can."""
    width: int = 0
    """How many fields its events have."""


class Announcer:
    """Yields what happens, as the server says it."""

    def __init__(
        self,
        session: Session,
        settings: Settings,
        events: "asyncio.Queue[tuple[int, list[Scalar]]]",
    ) -> None:
        self._session = session
        self._settings = settings
        self._events = events
        self._notifiers: list[_Notifier] = []
        self._subscription = 0
        self._refreshing = False

    async def start(self, subscription: int, finder: Finder) -> None:
        """Ask for the events of every notifier that the settings name."""
        self._subscription = subscription
        wanted = {each: notifier_of(each) for each in self._settings.events}
        found = await finder.nodes(list(wanted.values()))
        self._notifiers = [_Notifier(each, found[wanted[each]]) for each in wanted]
        for notifier in self._notifiers:
            if isinstance(notifier.node, Status):
                notifier.why = notifier.node.reason
        await self._ask_for(all_fields=True)
        # Servers without alarms may not know the fields that only alarms have.
        await self._ask_for(all_fields=False)

    async def _ask_for(self, *, all_fields: bool) -> None:
        again = [
            (handle, notifier)
            for handle, notifier in enumerate(self._notifiers)
            if not isinstance(notifier.node, Status) and not notifier.width
        ]
        again = [each for each in again if all_fields or each[1].why]
        event_filter, width = filter_of(all_fields=all_fields)
        asked = [
            ua.MonitoredItemCreateRequest(
                ItemToMonitor=ua.ReadValueId(
                    NodeId=notifier.node, AttributeId=ua.AttributeIds.EventNotifier
                ),
                MonitoringMode=ua.MonitoringMode.Reporting,
                RequestedParameters=ua.MonitoringParameters(
                    ClientHandle=handle,
                    SamplingInterval=0,
                    Filter=event_filter,
                    QueueSize=_QUEUE,
                    DiscardOldest=True,
                ),
            )
            for handle, notifier in again
        ]
        codes = await create_items(self._session, self._subscription, asked)
        for (_, notifier), code in zip(again, codes, strict=True):
            refused = bool(code >> 31)
            notifier.why = f"OPC UA {name_of(code)}" if refused else ""
            notifier.width = 0 if refused else width
            if refused and all_fields and not filter_was_refused(code):
                notifier.node = bad(notifier.why)

    async def announce(self) -> AsyncIterator[Occurrence]:
        """Yield what happens, for ever; alarms that stand come first."""
        for notifier in self._notifiers:
            if notifier.why:
                yield self._unheard(notifier)
        if any(notifier.width for notifier in self._notifiers):
            await self._refresh()
        while True:
            handle, values = await self._events.get()
            if handle >= len(self._notifiers):
                raise Unreachable(
                    f"{self._session.url} sent an event that nobody asked for"
                )
            fields = Fields.of(values)
            if fields.type == _REFRESH_REQUIRED:
                await self._refresh()
            elif fields.type in {_REFRESH_START, _REFRESH_END}:
                self._refreshing = fields.type == _REFRESH_START
            else:
                yield self._occurrence(fields)

    async def _refresh(self) -> None:
        """Ask for every alarm that stands (IEC 62541-9, 5.5.7).

        A server that has no alarms says no, and that is an answer, too.
        """
        caller = Caller(self._session)
        number = ua.Variant(self._subscription, ua.VariantType.UInt32)
        with suppress(Refused):
            await caller.ask(_CONDITION_REFRESH, [number])

    def _occurrence(self, fields: Fields) -> Occurrence:
        source = fields.source or self._session.url
        text = fields.message or fields.condition or "it says no more"
        severity = severity_of(fields, self._settings)
        if fields.type == _OVERFLOW:
            severity = Severity.WARNING
            text = "the server had to drop events, for they came faster than it sends"
        return Occurrence(
            id=fields.identity,
            source=source,
            text=text,
            time_us=fields.time_us or time.time_ns() // 1000,
            severity=severity,
            is_alarm=fields.is_alarm,
            detail=self._detail(fields),
        )

    def _detail(self, fields: Fields) -> Mapping[str, str | int | float | bool | None]:
        names = self._session.namespaces
        detail = fields.detail()
        for key in ("type", "source_node", "condition"):
            if isinstance(detail.get(key), str):
                detail[key] = uri_text(str(detail[key]), names)
        if self._refreshing:
            detail["refreshed"] = True
        return detail

    def _unheard(self, notifier: _Notifier) -> Occurrence:
        return Occurrence(
            id=f"unheard:{notifier.address}:{notifier.why}",
            source=notifier.address,
            text=f"its events cannot be heard: {notifier.why}; correct `events` in the "
            "settings, it is tried again at the next connection",
            time_us=time.time_ns() // 1000,
            severity=Severity.WARNING,
        )
