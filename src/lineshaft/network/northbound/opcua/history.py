"""The past of points, for clients that read history (IEC 62541-11, raw data)."""

from datetime import UTC, datetime, timedelta

from asyncua import ua
from asyncua.server.history import HistoryStorageInterface

from lineshaft.core.errors import LineshaftError
from lineshaft.core.point import Kind
from lineshaft.core.reading import from_us
from lineshaft.core.series import History, Series
from lineshaft.network.northbound.mirror import Said
from lineshaft.network.northbound.opcua.values import data_value, time_of

MOST = 10_000
_LOOK_BACK = timedelta(days=1)
"""How far is looked back when a client names an end and no begin."""


class Archive(HistoryStorageInterface):  # type: ignore[misc]  # it is untyped to us
    """Answers from the historian; nothing is stored here."""

    def __init__(self, history: History, kinds: dict[str, Kind]) -> None:
        super().__init__(MOST)
        self._history = history
        self._kinds = kinds

    async def init(self) -> None:
        """Open nothing."""

    async def stop(self) -> None:
        """Close nothing."""

    async def read_node_history(
        self,
        node_id: ua.NodeId,
        start: datetime | None,
        end: datetime | None,
        nb_values: int,
    ) -> tuple[list[ua.DataValue], datetime | None]:
        """Return readings and from when on there are more.

        Oldest first; newest first when `end` is before `start`, or `start` is left out.
        """
        name = str(node_id.Identifier)
        if name not in self._kinds:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadNodeIdUnknown)
        most = min(nb_values or MOST, MOST)
        now = datetime.now(UTC).replace(tzinfo=None)
        until = end or now
        since = start or until - _LOOK_BACK
        backwards = since > until or start is None
        first, last = sorted((time_of(since), time_of(until)))
        try:
            series = await self._history.raw(
                name, first, last, 10 * MOST if backwards else most
            )
        except LineshaftError as error:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadResourceUnavailable) from error
        values = self._told(series)
        if backwards:
            return values[::-1][:most], None
        after = from_us(int(series.columns.time[-1]) + 1) if series.more else None
        return values, after.replace(tzinfo=None) if after else None

    def _told(self, series: Series) -> list[ua.DataValue]:
        columns = series.columns
        rows = zip(
            columns.values(series.texts),
            columns.status.tolist(),
            columns.time.tolist(),
            strict=True,
        )
        kind = self._kinds[series.name]
        return [
            data_value(Said(0, value, series.statuses[status], time), kind)
            for value, status, time in rows
        ]

    async def new_historized_node(self, *_: object) -> None:
        """Do nothing: every point has a past already."""

    async def save_node_value(self, *_: object) -> None:
        """Do nothing: the historian has it from the bus."""

    async def new_historized_event(self, *_: object) -> None:
        """Do nothing: the bus keeps events."""

    async def save_event(self, *_: object) -> None:
        """Do nothing: the bus keeps events."""

    async def read_event_history(self, *_: object) -> tuple[list[object], None]:
        """Return nothing: the past of events is told by the API."""
        return [], None
