"""The HTTP API and the live stream, put together.

Only this folder knows the web framework.
"""

import asyncio
import logging
from collections.abc import Container
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router, WebSocket, get
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.types import Scope

from lineshaft.core.errors import LineshaftError
from lineshaft.security.people.login import Throttled, Where
from lineshaft.security.people.passkeys import Site
from lineshaft.web.api import auditing, doing, looking
from lineshaft.web.api.answers import SECURITY_HEADERS
from lineshaft.web.api.door import entry, people
from lineshaft.web.api.door.approving import Approving
from lineshaft.web.api.door.callers import (
    BROWSER_COOKIE,
    Call,
    Caller,
    Callers,
    NotLoggedIn,
)
from lineshaft.web.api.door.guard import check_host, check_json, check_origin
from lineshaft.web.api.door.rights import Looker, Rights
from lineshaft.web.api.problems import MEDIA_TYPE, asked, problem, problem_of
from lineshaft.web.api.rooms import Rooms
from lineshaft.web.shapes import Problem

log = logging.getLogger(__name__)

LARGEST_BODY = 1 << 16
Connection = ASGIConnection[Any, Any, Any, Any]  # Any: no user or session of theirs


@get("/openapi.json", include_in_schema=False)
async def get_openapi() -> Response[bytes]:
    """Return what this API is, for programs."""
    return Response(
        await asyncio.to_thread(openapi_json), media_type="application/json"
    )


class Guard:
    """Lets in only whom we know, from our own pages and programs."""

    def __init__(self, callers: Callers, names: Container[str]) -> None:
        self._callers = callers
        self._names = names

    async def __call__(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Find out who calls, for the routes; raise for whom nothing is here."""
        host = connection.headers.get("host", "")
        check_host(host, self._names)
        method = connection.scope.get("method", "GET")
        if method not in ("GET", "HEAD") or isinstance(connection, WebSocket):
            check_origin(connection.headers.get("origin"), host)
        if method in ("POST", "PUT", "PATCH") and not handler.opt.get("raw"):
            check_json(connection.headers.get("content-type", ""))
        try:
            caller: Caller | None = self._callers.who(_call(connection))
        except NotLoggedIn:
            if not handler.opt.get("open"):
                raise
            caller = None
        connection.scope["state"]["caller"] = caller


def _call(connection: Connection) -> Call:
    client, server = connection.scope.get("client"), connection.scope.get("server")
    return Call(
        (server[0], int(server[1] or 0)) if server else None,
        (client[0], int(client[1])) if client else None,
        connection.headers,
        connection.cookies,
    )


def _where(scope: Scope) -> Where:
    """Return where somebody stands who wants to come in."""
    connection: Connection = ASGIConnection(scope)
    host = connection.headers.get("host", "")
    url = connection.base_url
    return Where(
        _call(connection).origin,
        connection.headers.get("user-agent", ""),
        Site(url.hostname or "", f"{url.scheme}://{host}"),
        connection.cookies.get(BROWSER_COOKIE, ""),
    )


def _answer(said: Problem) -> Response[bytes]:
    return Response(
        msgspec.json.encode(said),
        status_code=said.status,
        media_type=MEDIA_TYPE,
        headers=SECURITY_HEADERS,
    )


def _explain(_: Request[Any, Any, Any], error: LineshaftError) -> Response[bytes]:
    """Tell an expected failure."""
    answer = _answer(problem_of(error))
    if isinstance(error, Throttled):
        answer.headers["Retry-After"] = str(int(error.wait_s) + 1)
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _explain_http(
    request: Request[Any, Any, Any], error: HTTPException
) -> Response[bytes]:
    """Tell what the framework found wrong with a request."""
    detail = error.detail
    if isinstance(error, ValidationException):
        faults = [fault for fault in error.extra or [] if isinstance(fault, dict)]
        told = [f"{asked(f.get('key'))}: {f.get('message', '')}" for f in faults]
        detail = "; ".join(told) or detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = looking.nothing_at(request.url.path)
    return _answer(problem(error.status_code, detail))


def _explain_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Leave a traceback, and say where it is; what broke is not told outside."""
    log.error("%s %s broke", request.method, request.url.path, exc_info=error)
    told = "this is a fault of Lineshaft; the log of the web room has its traceback"
    return _answer(problem(HTTPStatus.INTERNAL_SERVER_ERROR, told))


_ROUTES = [
    *looking.ROUTES,
    *doing.ROUTES,
    *auditing.ROUTES,
    *entry.ROUTES,
    *people.ROUTES,
    get_openapi,
]


def build_app(rooms: Rooms, names: Container[str] = ()) -> Litestar:
    """Return the application that looks into these rooms.

    `names` are those under which it is served, beside those of this machine.
    """
    return _compose(rooms, None, names)


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


def _compose(
    rooms: Rooms | None, described: OpenAPIConfig | None, names: Container[str] = ()
) -> Litestar:
    async def provide_rooms() -> Rooms | None:
        return rooms

    async def provide_rights() -> Rights | None:
        return rooms.rights if rooms else None

    async def provide_second() -> Approving | None:
        return rooms.eyes if rooms else None

    async def provide_me(scope: Scope) -> Caller:
        caller: Caller = scope["state"]["caller"]
        return caller

    async def provide_looker(scope: Scope) -> Looker | None:
        caller: Caller = scope["state"]["caller"]
        return Looker(rooms.rights, caller, rooms.told.health) if rooms else None

    async def provide_at(scope: Scope) -> Where:
        return _where(scope)

    routes = [Router("/api/v1", route_handlers=_ROUTES)]
    return Litestar(
        [*routes, looking.get_metrics, looking.get_page],
        dependencies={
            "rooms": provide_rooms,
            "rights": provide_rights,
            "second": provide_second,
            "looker": provide_looker,
            "span": looking.provide_span,
            "audit_search": auditing.provide_audit_search,
            "me": provide_me,
            "at": provide_at,
        },
        guards=[Guard(rooms.rights.callers, names)] if rooms else [],
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
