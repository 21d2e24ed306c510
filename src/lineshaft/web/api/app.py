"""The HTTP API and the live stream: only this file knows the web framework.

Each route takes its parameters apart, asks whoever knows, and shapes the answer.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request, Response, Router, WebSocket, get, post
from litestar import websocket as websocket_route
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import (
    HTTPException,
    ValidationException,
    WebSocketDisconnect,
)
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from lineshaft.core.bus import Asks
from lineshaft.core.command import carry_out
from lineshaft.core.errors import LineshaftError, NotFound, Refused
from lineshaft.core.errors.codes import code_at
from lineshaft.core.process.tasks import bare
from lineshaft.core.series import Format, History
from lineshaft.web.api.answers import MEDIA, SECURITY_HEADERS, VERDICT
from lineshaft.web.api.guard import check_host, check_json, check_origin
from lineshaft.web.api.leaving import ExportGate, headers_of, label_of
from lineshaft.web.api.past import MOST_READINGS, Archive
from lineshaft.web.api.problems import (
    MEDIA_TYPE,
    asked,
    fit_to_close,
    problem,
    problem_of,
)
from lineshaft.web.api.times import parse_duration, parse_span
from lineshaft.web.health.openmetrics import MEDIA_TYPE as OPENMETRICS
from lineshaft.web.live.talk import Over, Talk, Told
from lineshaft.web.page import File
from lineshaft.web.shapes import (
    BucketHistory,
    EventView,
    Level,
    NotWritten,
    PlantHealth,
    PointPage,
    Problem,
    RawHistory,
    ReadingView,
    Write,
    Written,
)

log = logging.getLogger(__name__)

LARGEST_BODY = 1 << 16
CLOSE_GOING, CLOSE_REFUSED = 1001, 4400
"""Why we hang up (RFC 6455, 7.4): we stop, or the page said what makes no sense."""


def _told(text: str, shape: object = Problem, media: str = MEDIA_TYPE) -> ResponseSpec:
    return ResponseSpec(
        shape,  # type: ignore[arg-type]  # it takes unions as well
        generate_examples=False,
        description=text,
        media_type=media,
    )


_PROBLEMS = {
    400: _told("A parameter cannot be understood."),
    403: _told("The request does not come from this machine's own pages or programs."),
    404: _told("A name leads nowhere; the nearest spelling is told."),
    503: _told("A part of the plant does not answer; try again."),
}

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


@dataclass(frozen=True, slots=True)
class Rooms:
    """Whoever knows the answers."""

    told: Told
    archive: Archive
    history: History
    bus: Asks
    files: Mapping[str, File]
    gate: ExportGate | None = None


Here = NamedDependency[Rooms]


@get(
    "/health",
    operation_id="getHealth",
    summary="How the plant is, and why",
    responses={403: _PROBLEMS[403]},
)
async def get_health(rooms: Here) -> PlantHealth:
    """Return the health of every service and connection; 200 while we live."""
    return rooms.told.health.plant()


@get(
    "/namespace",
    operation_id="getNamespace",
    summary="What is directly in a place",
    responses=_PROBLEMS,
)
async def get_namespace(
    rooms: Here,
    place: Annotated[
        str, QueryParameter(description="A path; the top if left out.")
    ] = "",
) -> Level:
    """Return the places and points directly below a place."""
    return rooms.told.namespace.level(place)


@get(
    "/points",
    operation_id="findPoints",
    summary="Find points",
    responses=_PROBLEMS,
)
async def get_points(
    rooms: Here,
    patterns: Patterns = None,
    search: Annotated[str, QueryParameter(description="Words, in any case.")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=10_000)] = 1_000,
    offset: Annotated[int, QueryParameter(ge=0)] = 0,
) -> PointPage:
    """Return points by pattern, and by words in their name or description."""
    namespace = rooms.told.namespace
    found = namespace.find(patterns or ["**"], search)
    shown = found[offset : offset + limit]
    return PointPage(len(found), [namespace.view(name) for name in shown])


@get(
    "/readings",
    operation_id="getReadings",
    summary="The newest reading of points",
    responses=_PROBLEMS,
)
async def get_readings(rooms: Here, patterns: Patterns = None) -> list[ReadingView]:
    """Return the last values; a point never read is BAD and says so."""
    namespace = rooms.told.namespace
    found = namespace.find(patterns or ["**"])
    for name in patterns or ():
        if "*" not in name:
            namespace.device(name.strip("/"))
    return rooms.told.live.views(found)


@get(
    "/history",
    operation_id="getHistory",
    summary="The past of points, as readings or in buckets",
    responses=_PROBLEMS
    | {
        200: _told(
            "Columns of equal length: `RawHistory` without `every`, else buckets.",
            RawHistory | BucketHistory,
            "application/json",
        )
    },
)
async def get_history(
    rooms: Here,
    names: Names,
    start: From = "-1h",
    end: To = "now",
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
    span = parse_span(start, end)
    if every is None:
        data = await rooms.archive.raw(names, span, limit)
    else:
        data = await rooms.archive.buckets(names, span, parse_duration(every))
    return Response(data, media_type="application/json")


@dataclass
class _Export(Operation):
    """An operation whose answer has one of several media types."""

    def __post_init__(self) -> None:
        binary = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        content = {media: OpenAPIMediaType(schema=binary) for media in MEDIA.values()}
        answer = OpenAPIResponse(description="The file, streamed.", content=content)
        self.responses = (self.responses or {}) | {"200": answer}


@get(
    "/export",
    operation_id="exportReadings",
    summary="A file with every reading of the span",
    responses=_PROBLEMS,
    operation_class=_Export,
)
async def get_export(
    rooms: Here,
    pattern: Annotated[
        str, QueryParameter(description="Which points; see `/readings`.")
    ],
    start: From = "-1h",
    end: To = "now",
    form: Annotated[
        Format, QueryParameter(name="format", description="How the file is written.")
    ] = Format.CSV,
    region: Annotated[
        str, QueryParameter(description="Where the file goes; empty: our own region.")
    ] = "",
) -> Stream:
    """Stream a file; CSV, JSON, Parquet or Arrow."""
    label = await label_of(rooms.gate, rooms.history, pattern, region)
    parts = rooms.history.export(pattern, *parse_span(start, end), form)
    # The first part is awaited here, so that what is wrong has a status of its own.
    first = await anext(parts, b"")

    async def everything() -> AsyncIterator[bytes]:
        yield first
        async for part in parts:
            yield part

    return Stream(everything, media_type=MEDIA[form], headers=headers_of(form, label))


@post(
    "/write",
    operation_id="writeValue",
    summary="Write a value to a point",
    status_code=HTTPStatus.OK,
    responses=_PROBLEMS
    | {
        200: _told("Confirmed by the device.", Written, "application/json"),
        409: _told("The device or its settings said no.", NotWritten),
        413: _told("The body is larger than 64 KiB."),
        504: _told("Nobody knows whether it was carried out.", NotWritten),
    },
)
async def post_write(
    rooms: Here, data: JSONBody[Write]
) -> Response[Written | NotWritten]:
    """Send a command to the device, once, and wait for its outcome."""
    device = rooms.told.namespace.device(data.name)
    wish, within_s = (data.name, data.value), data.timeout_s
    outcome = await carry_out(rooms.bus, device, wish, by=data.by, within_s=within_s)
    status = VERDICT[outcome.verdict]
    if status is HTTPStatus.OK:
        return Response(
            Written(outcome.id, outcome.verdict, outcome.reason, outcome.answer)
        )
    detail = f"{data.name}: {outcome.reason}"
    failed = NotWritten(
        outcome.id,
        outcome.verdict,
        outcome.reason,
        status.phrase,
        status,
        detail,
        code=code_at("network.commander", "Refused"),
    )
    return Response(failed, status_code=status, media_type=MEDIA_TYPE)


@get(
    "/events",
    operation_id="getEvents",
    summary="What happened, newest first",
    responses={400: _PROBLEMS[400], 403: _PROBLEMS[403]},
)
async def get_events(
    rooms: Here,
    limit: Annotated[int, QueryParameter(ge=1, le=2_000)] = 100,
    kind: Annotated[
        str, QueryParameter(description="Kinds, such as `device.*`.")
    ] = "*",
) -> list[EventView]:
    """Return the newest events that are of a kind."""
    return rooms.told.events.newest(limit, kind)


@get("/openapi.json", include_in_schema=False)
async def get_openapi() -> Response[bytes]:
    """Return what this API is, for programs."""
    return Response(
        await asyncio.to_thread(openapi_json), media_type="application/json"
    )


@websocket_route("/live")
async def live_stream(
    socket: WebSocket[Any, Any, Any],  # Any: no user, no session, no state of ours
    rooms: Here,
    patterns: Patterns = None,
    resume: FromQuery[str | None] = None,
) -> None:
    """Tell a page what happens, in the messages of `live.talk`."""
    await socket.accept()
    with rooms.told.open:
        try:
            with bare():
                await Talk(_Line(socket), rooms.told).run(patterns or [], resume)
        except Over:
            why = "the web room stops; come back with your token"
            await socket.close(CLOSE_GOING, why)
        except (NotFound, Refused) as error:
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
async def get_metrics(rooms: Here) -> Response[bytes]:
    """Return what monitoring systems read: OpenMetrics 1.0."""
    return Response(rooms.told.health.metrics(), media_type=OPENMETRICS)


@get(["/", "/{path:path}"], include_in_schema=False)
async def get_page(rooms: Here, path: FromPath[str] = "/") -> Response[bytes]:
    """Return a file of the page."""
    file = rooms.files.get(path.strip("/") or "index.html")
    if file is None:
        raise NotFound(
            f"there is nothing at {path!r}; the page is at /, and "
            "/api/v1/openapi.json tells what programs may ask for"
        )
    headers = {"Cache-Control": file.cache}
    return Response(file.data, media_type=file.media_type, headers=headers)


def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let in only what comes from this machine's own pages and programs."""
    host = connection.headers.get("host", "")
    check_host(host)
    changes = connection.scope.get("method", "GET") not in ("GET", "HEAD")
    if changes or isinstance(connection, WebSocket):
        check_origin(connection.headers.get("origin"), host)
    if changes:
        check_json(connection.headers.get("content-type", ""))


def _answer(said: Problem) -> Response[bytes]:
    return Response(
        msgspec.json.encode(said),
        status_code=said.status,
        media_type=MEDIA_TYPE,
        headers=SECURITY_HEADERS,
    )


def _explain(_: Request[Any, Any, Any], error: LineshaftError) -> Response[bytes]:
    """Tell an expected failure."""
    return _answer(problem_of(error))


def _explain_http(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Tell what the framework found wrong with a request."""
    detail = error.detail
    if isinstance(error, ValidationException):
        faults = [fault for fault in error.extra or [] if isinstance(fault, dict)]
        told = [f"{asked(f.get('key'))}: {f.get('message', '')}" for f in faults]
        detail = "; ".join(told) or detail
    return _answer(problem(error.status_code, detail))


def _explain_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Leave a traceback, and say where it is; what broke is not told outside."""
    log.error("%s %s broke", request.method, request.url.path, exc_info=error)
    told = "this is a fault of Lineshaft; the log of the web room has its traceback"
    return _answer(problem(HTTPStatus.INTERNAL_SERVER_ERROR, told))


_ROUTES = [
    get_health,
    get_namespace,
    get_points,
    get_readings,
    get_history,
    get_export,
    post_write,
    get_events,
    get_openapi,
    live_stream,
]


def build_app(rooms: Rooms) -> Litestar:
    """Return the application that looks into these rooms."""
    return _compose(rooms, None)


def openapi_json() -> bytes:
    """Return the description of the API: OpenAPI 3.1, as indented JSON."""
    described = OpenAPIConfig(
        title="Lineshaft",
        version=version("lineshaft"),
        description="The plant over HTTP. Times are RFC 3339 text in UTC. What happens "
        "now is told on the WebSocket `/api/v1/live`, which OpenAPI cannot describe.",
        render_plugins=[],
        use_handler_docstrings=True,
    )
    schema = msgspec.json.encode(_compose(None, described).openapi_schema.to_schema())
    # 5 is an integer and a number as well, which `oneOf` would forbid.
    loose = schema.replace(b'"oneOf":', b'"anyOf":')
    return msgspec.json.format(loose, indent=2) + b"\n"


def _compose(rooms: Rooms | None, described: OpenAPIConfig | None) -> Litestar:
    async def provide() -> Rooms | None:
        return rooms

    return Litestar(
        [Router("/api/v1", route_handlers=_ROUTES), get_metrics, get_page],
        dependencies={"rooms": provide},
        guards=[guard],
        exception_handlers={
            LineshaftError: _explain,
            HTTPException: _explain_http,
            Exception: _explain_bug,
        },
        response_headers={} if described else SECURITY_HEADERS,
        request_max_body_size=LARGEST_BODY,
        openapi_config=described,
        logging_config=None,
        debug=False,
    )
