"""The routes by which people and programs look into the plant.

Each takes its parameters apart, asks whoever knows, and shapes the answer.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from litestar import Response, WebSocket, get
from litestar import websocket as websocket_route
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath, FromQuery, QueryParameter

from lineshaft.core.errors import Denied, NotFound, Refused
from lineshaft.core.process.tasks import bare
from lineshaft.security.access.roles import Action
from lineshaft.web.api.door.callers import NotLoggedIn
from lineshaft.web.api.door.rights import Looker
from lineshaft.web.api.past import MOST_READINGS, Archive
from lineshaft.web.api.past.times import parse_duration, parse_span
from lineshaft.web.api.problems import fit_to_close
from lineshaft.web.api.rooms import Rooms
from lineshaft.web.api.told import LOOKING, PROBLEMS, told
from lineshaft.web.health.openmetrics import MEDIA_TYPE as OPENMETRICS
from lineshaft.web.live.talk import Over, Talk
from lineshaft.web.shapes import (
    BucketHistory,
    EventView,
    Level,
    PlantHealth,
    PointPage,
    RawHistory,
    ReadingView,
)

CLOSE_GOING, CLOSE_REFUSED, CLOSE_NOBODY = 1001, 4400, 4401
"""Why we hang up (RFC 6455, 7.4): we stop, or the page said what makes no sense, or
nobody knows who looks on any more."""

Names = Annotated[
    list[str],
    QueryParameter(name="name", description="Name of a point; repeatable, 50."),
]
Patterns = Annotated[
    list[str] | None,
    QueryParameter(
        name="pattern",
        description="A name, or `*` for a segment and `**` for any number of them; "
        "repeatable.",
    ),
]
From = Annotated[
    str,
    QueryParameter(
        name="from", description="Begin: RFC 3339, `now`, or a span before it: `-5m`."
    ),
]
To = Annotated[
    str,
    QueryParameter(name="to", description="End, exclusive; written like the begin."),
]


async def provide_span(start: From = "-1h", end: To = "now") -> tuple[int, int]:
    """Return the span that `from` and `to` mean, in microseconds since 1970 UTC."""
    return parse_span(start, end)


Here = NamedDependency[Rooms]
Eyes = NamedDependency[Looker]
Span = NamedDependency[tuple[int, int]]


@get(
    "/health",
    operation_id="getHealth",
    summary="How the plant is, and why",
    responses={status: PROBLEMS[status] for status in (401, 403)},
)
async def get_health(looker: Eyes) -> PlantHealth:
    """Return the health of every service and connection; 200 while we live."""
    return looker.health()


@get(
    "/namespace",
    operation_id="getNamespace",
    summary="What is directly in a place",
    responses=LOOKING,
)
async def get_namespace(
    looker: Eyes,
    place: Annotated[
        str, QueryParameter(description="A path; the top if left out.")
    ] = "",
) -> Level:
    """Return the places and points directly below a place."""
    return looker.namespace.level(place)


@get(
    "/points",
    operation_id="findPoints",
    summary="Find points",
    responses=LOOKING,
)
async def get_points(
    looker: Eyes,
    patterns: Patterns = None,
    search: Annotated[str, QueryParameter(description="Words, in any case.")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=10_000)] = 1_000,
    offset: Annotated[int, QueryParameter(ge=0)] = 0,
) -> PointPage:
    """Return points by pattern, and by words in their name or description."""
    namespace = looker.namespace
    found = namespace.find(patterns or ["**"], search)
    shown = found[offset : offset + limit]
    return PointPage(len(found), [namespace.view(name) for name in shown])


@get(
    "/readings",
    operation_id="getReadings",
    summary="The newest reading of points",
    responses=LOOKING,
)
async def get_readings(
    rooms: Here, looker: Eyes, patterns: Patterns = None
) -> list[ReadingView]:
    """Return the last values; a point never read is BAD and says so."""
    namespace = looker.namespace
    found = namespace.find(patterns or ["**"])
    for name in patterns or ():
        if "*" not in name:
            namespace.device(name.strip("/"))
    return rooms.told.live.views(found)


@get(
    "/history",
    operation_id="getHistory",
    summary="The past of points, as readings or in buckets",
    responses=LOOKING
    | {
        200: told(
            "Columns of equal length: `RawHistory` without `every`, else buckets.",
            RawHistory | BucketHistory,
            "application/json",
        )
    },
)
async def get_history(
    rooms: Here,
    looker: Eyes,
    names: Names,
    span: Span,
    every: Annotated[
        str | None,
        QueryParameter(description="Length of a bucket: `500ms`, `10s`, `1h`."),
    ] = None,
    limit: Annotated[
        int,
        QueryParameter(ge=1, le=MOST_READINGS, description="Readings of each point."),
    ] = 100_000,
) -> Response[bytes]:
    """Return readings, or min, max, mean and more of buckets of time.

    There are at most 1,000,000 readings or buckets in one answer; `more` names the
    points whose readings were cut short.
    """
    view = looker.namespace
    for name in names:
        # Recorded once, and configured no more: it has a past, and rights.
        if name not in view and not looker.may(Action.READ, name):
            view.device(name)
    archive = Archive(rooms.history, view)
    if every is None:
        data = await archive.raw(names, span, limit)
    else:
        data = await archive.buckets(names, span, parse_duration(every))
    return Response(data, media_type="application/json")


@get(
    "/events",
    operation_id="getEvents",
    summary="What happened, newest first",
    responses={status: PROBLEMS[status] for status in (400, 401, 403)},
)
async def get_events(
    rooms: Here,
    looker: Eyes,
    limit: Annotated[int, QueryParameter(ge=1, le=2_000)] = 100,
    kind: Annotated[
        str, QueryParameter(description="Kinds, such as `device.*`.")
    ] = "*",
) -> list[EventView]:
    """Return the newest events that are of a kind."""
    return rooms.told.events.newest(limit, kind, looker.sees)


@websocket_route("/live")
async def live_stream(
    socket: WebSocket[Any, Any, Any],  # Any: no user, no session, no state of ours
    rooms: Here,
    looker: Eyes,
    patterns: Patterns = None,
    resume: FromQuery[str | None] = None,
) -> None:
    """Tell a page what happens, in the messages of `live.talk`."""
    await socket.accept()
    with rooms.told.open:
        try:
            with bare():
                talk = Talk(_Line(socket), rooms.told, looker)
                await talk.run(patterns or [], resume)
        except Over:
            why = "the web room stops; come back with your token"
            await socket.close(CLOSE_GOING, why)
        except NotLoggedIn as error:
            await socket.close(CLOSE_NOBODY, fit_to_close(str(error)))
        except (NotFound, Refused, Denied) as error:
            await socket.close(CLOSE_REFUSED, fit_to_close(str(error)))
        except WebSocketDisconnect:
            return  # gone while we spoke


class _Line:
    """A WebSocket as `Talk` wants it."""

    def __init__(self, socket: WebSocket[Any, Any, Any]) -> None:  # Any: see above
        self._socket = socket

    async def send(self, data: bytes) -> None:
        await self._socket.send_text(data.decode())

    async def hear(self) -> AsyncIterator[bytes]:
        while True:
            try:
                yield (await self._socket.receive_text()).encode()
            except WebSocketDisconnect:
                return


@get("/metrics", include_in_schema=False)
async def get_metrics(rooms: Here, looker: Eyes) -> Response[bytes]:
    """Return what monitoring systems read: OpenMetrics 1.0."""
    looker.check_ready(Action.READ)
    return Response(rooms.told.health.metrics(), media_type=OPENMETRICS)


@get(["/", "/{path:path}"], include_in_schema=False, opt={"open": True})
async def get_page(rooms: Here, path: FromPath[str] = "/") -> Response[bytes]:
    """Return a file of the page."""
    file = rooms.files.get(path.strip("/") or "index.html")
    if file is None:
        raise NotFound(nothing_at(path))
    headers = {"Cache-Control": file.cache}
    return Response(file.data, media_type=file.media_type, headers=headers)


def nothing_at(path: str) -> str:
    """Say that a path leads nowhere, and what there is."""
    return (
        f"there is nothing at {path[:200]!r}; the page is at /, and "
        "/api/v1/openapi.json tells what programs may ask for"
    )


ROUTES = [
    get_health,
    get_namespace,
    get_points,
    get_readings,
    get_history,
    get_events,
    live_stream,
]
