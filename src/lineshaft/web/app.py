"""The HTTP API and the live stream: only this file knows the web framework.

Each route takes its parameters apart, asks whoever knows, and shapes the answer.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request, Response, Router, WebSocket, get, post
from litestar import websocket as websocket_route
from litestar.config.compression import CompressionConfig
from litestar.connection import ASGIConnection
from litestar.exceptions import (
    HTTPException,
    ValidationException,
    WebSocketDisconnect,
)
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.params import Parameter
from litestar.response import Stream

from lineshaft.core.bus import Asks
from lineshaft.core.command import Command, Outcome, Verdict
from lineshaft.core.errors import (
    ConfigError,
    Denied,
    LineshaftError,
    NotFound,
    Refused,
    Unreachable,
)
from lineshaft.core.series import Aggregate, Format
from lineshaft.core.series import History as Past
from lineshaft.web.columns import bucket_series, raw_series
from lineshaft.web.events import EventBook
from lineshaft.web.guard import check_host, check_origin
from lineshaft.web.health import HealthBoard
from lineshaft.web.live import Live
from lineshaft.web.namespace import Namespace
from lineshaft.web.page import File
from lineshaft.web.shapes import (
    EventView,
    History,
    Level,
    PlantHealth,
    PointPage,
    Problem,
    ReadingView,
    Write,
    Written,
)
from lineshaft.web.talk import Talk
from lineshaft.web.times import parse_duration, parse_time

MOST_NAMES = 50
LARGEST_BODY = 1 << 20
_STATUS: Mapping[type[LineshaftError], HTTPStatus] = {
    ConfigError: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    Refused: HTTPStatus.CONFLICT,
    NotFound: HTTPStatus.NOT_FOUND,
    Denied: HTTPStatus.FORBIDDEN,
}
_VERDICT = {
    Verdict.CONFIRMED: HTTPStatus.OK,
    Verdict.REFUSED: HTTPStatus.CONFLICT,
    Verdict.UNKNOWN: HTTPStatus.GATEWAY_TIMEOUT,
}
_MEDIA = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON: "application/json",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.ARROW: "application/vnd.apache.arrow.stream",
}
_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PROBLEMS = {
    status: ResponseSpec(
        Problem, description=text, media_type="application/problem+json"
    )
    for status, text in (
        (400, "A parameter cannot be understood"),
        (404, "The name leads nowhere"),
        (503, "A part of the plant does not answer"),
    )
}

Names = Annotated[
    list[str],
    Parameter(query="name", description="Name of a point; may be repeated."),
]
Patterns = Annotated[
    list[str] | None,
    Parameter(
        query="pattern",
        description="Names with * for a segment and ** for any number of them.",
    ),
]
From = Annotated[
    str,
    Parameter(
        query="from", description="Begin: RFC 3339, `now`, or a span before it: `-5m`."
    ),
]
To = Annotated[str, Parameter(description="End, exclusive; written like the begin.")]


@dataclass(frozen=True, slots=True)
class Rooms:
    """Whoever knows the answers."""

    namespace: Namespace
    live: Live
    history: Past
    events: EventBook
    health: HealthBoard
    bus: Asks
    files: Mapping[str, File]


@get("/health", operation_id="health", summary="How the plant is, and why")
async def get_health(rooms: Rooms) -> PlantHealth:
    """Return the health of every service and connection; 200 while we live."""
    return rooms.health.plant()


@get(
    "/namespace",
    operation_id="namespace",
    summary="What is directly in a place",
    responses=_PROBLEMS,
)
async def get_namespace(rooms: Rooms, place: str = "") -> Level:
    """Return the places and points directly below a place."""
    return rooms.namespace.level(place)


@get("/points", operation_id="points", summary="Find points", responses=_PROBLEMS)
async def get_points(
    rooms: Rooms,
    patterns: Patterns = None,
    search: str = "",
    limit: Annotated[int, Parameter(ge=1, le=10_000)] = 1_000,
    offset: Annotated[int, Parameter(ge=0)] = 0,
) -> PointPage:
    """Return points by pattern, and by words in their name or description."""
    found = rooms.namespace.find(patterns or ["**"], search)
    shown = found[offset : offset + limit]
    return PointPage(len(found), [rooms.namespace.view(name) for name in shown])


@get(
    "/readings",
    operation_id="readings",
    summary="The newest reading of points",
    responses=_PROBLEMS,
)
async def get_readings(rooms: Rooms, patterns: Patterns = None) -> list[ReadingView]:
    """Return the last values; a point never read is BAD and says so."""
    return rooms.live.views(rooms.namespace.find(patterns or ["**"]))


@get(
    "/history",
    operation_id="history",
    summary="The past of points, as readings or in buckets",
    responses=_PROBLEMS,
)
async def get_history(
    rooms: Rooms,
    names: Names,
    start: From = "-1h",
    to: To = "now",
    every: Annotated[str | None, Parameter(description="Length of a bucket.")] = None,
    limit: Annotated[int, Parameter(ge=1, le=1_000_000)] = 100_000,
) -> History:
    """Return readings, or min, max, mean and more of buckets of time."""
    if len(names) > MOST_NAMES:
        raise ConfigError(f"{len(names)} points at once are too many: ask for 50")
    start_us, end_us = parse_time(start), parse_time(to)
    if end_us <= start_us:
        raise ConfigError(f"the span ends ({to}) before it begins ({start})")
    if every is None:
        return await _raw(rooms, names, (start_us, end_us), limit)
    every_us = parse_duration(every)
    buckets = await rooms.history.buckets(names, start_us, end_us, every_us)
    for each in buckets:
        _expect(rooms, each.name, something=bool(each.columns[Aggregate.COUNT].any()))
    shapes = await asyncio.to_thread(lambda: [bucket_series(each) for each in buckets])
    return History(every_us / 1e6, shapes, [])


async def _raw(
    rooms: Rooms, names: list[str], span: tuple[int, int], limit: int
) -> History:
    series = [await rooms.history.raw(name, *span, limit) for name in names]
    for each in series:
        _expect(rooms, each.name, something=bool(len(each.columns)))
    shapes = await asyncio.to_thread(lambda: [raw_series(each) for each in series])
    return History(None, shapes, [each.name for each in series if each.more])


def _expect(rooms: Rooms, name: str, *, something: bool) -> None:
    """Refuse a name that is neither configured nor recorded: it is misspelt."""
    if not something and name not in rooms.namespace:
        rooms.namespace.device(name)


@get(
    "/export",
    operation_id="export",
    summary="A file with every reading of the span",
    responses=_PROBLEMS,
    media_type="application/octet-stream",
)
async def get_export(
    rooms: Rooms,
    pattern: Annotated[str, Parameter(description="Which points.")],
    start: From = "-1h",
    to: To = "now",
    form: Annotated[Format, Parameter(query="format")] = Format.CSV,
) -> Stream:
    """Stream a file; CSV, JSON, Parquet or Arrow."""
    parts = rooms.history.export(pattern, parse_time(start), parse_time(to), form)
    # The first part is awaited here, so that what is wrong has a status of its own.
    first = await anext(parts, b"")

    async def everything() -> AsyncIterator[bytes]:
        yield first
        async for part in parts:
            yield part

    name = f"readings.{form.value}"
    return Stream(
        everything,
        media_type=_MEDIA[form],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@post(
    "/write",
    operation_id="write",
    summary="Write a value to a point",
    status_code=HTTPStatus.OK,
    responses={
        404: _PROBLEMS[404],
        409: ResponseSpec(Written, description="The device or its settings said no"),
        504: ResponseSpec(
            Written, description="No answer came: the outcome is unknown"
        ),
    },
)
async def post_write(rooms: Rooms, data: Write) -> Response[Written]:
    """Send a command to the device, once, and wait for its outcome."""
    device = rooms.namespace.device(data.name)
    timeout_s = min(max(data.timeout_s, 0.1), 60.0)
    command = Command(
        id=uuid.uuid4().hex,
        name=data.name,
        value=data.value,
        by=data.by,
        deadline_us=int((time.time() + timeout_s) * 1e6),
    )
    try:
        question = msgspec.json.encode(command)
        answer = rooms.bus.ask(f"commands.{device}", question, timeout_s + 2.0)
        said = b"".join([part async for part in answer])
        outcome = msgspec.json.decode(said, type=Outcome)
    except Unreachable as silence:
        outcome = Outcome(id=command.id, verdict=Verdict.UNKNOWN, reason=str(silence))
    written = Written(outcome.id, outcome.verdict, outcome.reason)
    return Response(written, status_code=_VERDICT[outcome.verdict])


@get("/events", operation_id="events", summary="What happened, newest first")
async def get_events(
    rooms: Rooms,
    limit: Annotated[int, Parameter(ge=1, le=2_000)] = 100,
    kind: Annotated[str, Parameter(description="Kinds, such as `device.*`.")] = "*",
) -> list[EventView]:
    """Return the newest events that are of a kind."""
    return rooms.events.newest(limit, kind)


@websocket_route("/live")
async def live_stream(
    socket: WebSocket[Any, Any, Any],  # Any: no user, no session, no state of ours
    rooms: Rooms,
    patterns: Patterns = None,
    resume: str | None = None,
) -> None:
    """Tell a page what happens; see docs/reference/live-stream.md."""
    await socket.accept()
    talk = Talk(_Line(socket), rooms.live, rooms.namespace, rooms.events, rooms.health)
    try:
        await talk.run(patterns or [], resume)
    except NotFound as error:
        await socket.close(code=4404, reason=str(error)[:120])


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


@get(["/", "/{path:path}"], include_in_schema=False)
async def get_page(rooms: Rooms, path: str = "/") -> Response[bytes]:
    """Return a file of the page."""
    file = rooms.files.get(path.strip("/") or "index.html")
    if file is None:
        raise NotFound(f"there is no page {path!r}; the plant is at /")
    headers = {"Cache-Control": file.cache}
    return Response(file.data, media_type=file.media_type, headers=headers)


def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let in only what comes from this machine's own pages and programs."""
    host = connection.headers.get("host", "")
    check_host(host)
    changes = connection.scope.get("method", "GET") not in ("GET", "HEAD")
    if changes or isinstance(connection, WebSocket):
        check_origin(connection.headers.get("origin"), host)
    if changes and "application/json" not in connection.headers.get("content-type", ""):
        raise ConfigError("send the body as application/json")


def _problem(status: int, detail: str) -> Response[bytes]:
    problem = Problem(HTTPStatus(status).phrase, status, detail)
    return Response(
        msgspec.json.encode(problem),
        status_code=status,
        media_type="application/problem+json",
    )


def _explain(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Tell an expected failure; its class says which status it has."""
    status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 500)
    return _problem(status, str(error))


def _explain_http(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Tell what the framework found wrong with a request."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    if isinstance(error, ValidationException):
        detail = "; ".join(
            f"{fault.get('key', 'parameter')}: {fault.get('message', '')}"
            for fault in error.extra or []
            if isinstance(fault, dict)
        )
    return _problem(status, detail)


def build_app(rooms: Rooms, version: str) -> Litestar:
    """Return the application that looks into these rooms."""

    async def provide() -> Rooms:
        return rooms

    api = Router(
        "/api/v1",
        route_handlers=[
            get_health,
            get_namespace,
            get_points,
            get_readings,
            get_history,
            get_export,
            post_write,
            get_events,
            live_stream,
        ],
    )
    return Litestar(
        [api, get_page],
        dependencies={"rooms": provide},
        guards=[guard],
        exception_handlers={
            LineshaftError: _explain,
            HTTPException: _explain_http,
        },
        response_headers=_SECURITY_HEADERS,
        compression_config=CompressionConfig(backend="gzip", gzip_compress_level=1),
        request_max_body_size=LARGEST_BODY,
        openapi_config=OpenAPIConfig(
            title="Lineshaft",
            version=version,
            description="The plant over HTTP.",
            path="/api/v1",
            render_plugins=[],
        ),
        logging_config=None,
        debug=False,
    )
