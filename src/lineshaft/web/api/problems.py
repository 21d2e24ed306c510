"""What went wrong, as problem details (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus

from lineshaft.core.errors import (
    ConfigError,
    Denied,
    LineshaftError,
    NotFound,
    Refused,
    Unreachable,
)
from lineshaft.core.errors.codes import Code, code_at
from lineshaft.security.people.login import Throttled, Unproven
from lineshaft.web.shapes import Problem

MEDIA_TYPE = "application/problem+json"


class BadParameter(ConfigError):
    """A parameter of a request cannot be understood; the caller must mend it."""


_STATUS: Mapping[type[LineshaftError], HTTPStatus] = {
    BadParameter: HTTPStatus.BAD_REQUEST,
    ConfigError: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    Refused: HTTPStatus.CONFLICT,
    NotFound: HTTPStatus.NOT_FOUND,
    Unproven: HTTPStatus.UNAUTHORIZED,
    Throttled: HTTPStatus.TOO_MANY_REQUESTS,
    Denied: HTTPStatus.FORBIDDEN,
}


_CODES: Mapping[int, str] = {
    int(status): code_at("web", kind.__name__)
    for kind, status in _STATUS.items()
    if kind not in (BadParameter, Unproven, Throttled)
} | {int(HTTPStatus.INTERNAL_SERVER_ERROR): Code.BUG}


def problem(status: int, detail: str, code: str = "") -> Problem:
    """Return the problem details of a status, with the code of what is wrong."""
    known = code or _CODES.get(status) or code_at("web", "ConfigError")
    return Problem(HTTPStatus(status).phrase, status, detail, code=known)


def problem_of(error: LineshaftError) -> Problem:
    """Return what an expected failure is over HTTP: its class tells the status."""
    status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    return problem(status, str(error), error.stable_code)


def asked(key: str | None) -> str:
    """Return what the caller calls a parameter, which is not always our word."""
    ours = {"form": "format", "start": "from", "end": "to"}
    ours |= {"names": "name", "patterns": "pattern", "data": "body"}
    return ours.get(key or "", key or "parameter")


def fit_to_close(reason: str) -> str:
    """Cut a reason to what a closing WebSocket can carry (RFC 6455, 5.5)."""
    return reason.encode()[:120].decode(errors="ignore")
