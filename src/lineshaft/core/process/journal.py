"""The log of a process: a line of text for people, or a line of JSON for programs.

No secret appears in it. What the settings hold as secrets is known by its value and
struck out wherever it turns up; so are passwords in addresses, and what is called a
password, token or key.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType

from typing_extensions import override

from lineshaft.core.errors import LineshaftError
from lineshaft.core.errors.codes import Code, codes_in

STRUCK = "***"
SHORTEST_SECRET = 4
"""Shorter ones would strike out half of what people write."""
_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_BY_NAME = re.compile(
    r"(?i)((?:password|passwd|secret|token|api[_-]?key|authorization)"
    r"(?:\s*=\s*|['\"]\s*:\s*))(?:\"[^\"]*\"|'[^']*'|(?:(?:bearer|basic) )?[^\s,;&}]+)"
)
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Form(StrEnum):
    """How a log is written."""

    TEXT = "text"
    JSON = "json"


class Redactor:
    """Strikes secrets out of text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        # As they are, and as they look inside of JSON or the repr of a string.
        known |= {
            written
            for secret in known
            for written in (json.dumps(secret)[1:-1], repr(secret)[1:-1])
        }
        # The longest first: one secret may be the beginning of another.
        words = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, words))) if words else None

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        if self._known is not None:
            text = self._known.sub(STRUCK, text)
        text = _IN_ADDRESS.sub(STRUCK, text)
        return _BY_NAME.sub(rf"\g<1>{STRUCK}", text)


class _Lines(logging.Formatter):
    """Text, one line for each record and the traceback below it."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._redact = redact

    @override
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        code = _code_of(record)
        if code and code not in codes_in(record.getMessage()):
            level = f" {record.levelname} "
            text = text.replace(level, f"{level}{code} ", 1)
        return self._redact(text)


class _Objects(logging.Formatter):
    """JSON, one line for each record."""

    def __init__(self, service: str, redact: Redactor) -> None:
        super().__init__()
        self._service = service
        self._redact = redact

    @override
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC)
        told: dict[str, object] = {
            "time": when.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self._service,
            "code": _code_of(record),
            "message": self._redact(record.getMessage()),
            "logger": record.name,
        }
        fields = {
            key: value if isinstance(value, int | float) else self._redact(str(value))
            for key, value in vars(record).items()
            if key not in _USUAL and key != "code"
        }
        if fields:
            told["fields"] = fields
        if record.exc_info:
            told["traceback"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(told, ensure_ascii=False)


def _code_of(record: logging.LogRecord) -> str:
    """Return the code that was given, or that of the error that is logged."""
    given = getattr(record, "code", "")
    if given:
        return str(given)
    if record.exc_info and record.exc_info[1]:
        error = record.exc_info[1]
        return error.stable_code if isinstance(error, LineshaftError) else Code.BUG
    return ""


def chosen(form: str | None) -> Form:
    """Return the form that was asked for: text for a person who looks, else JSON."""
    if form is not None:
        return Form(form)
    return Form.TEXT if sys.stderr.isatty() else Form.JSON


def begin(
    service: str, level: str, form: Form, secrets: Iterable[str] = ()
) -> logging.Handler:
    """Write the log of this process to standard error, tracebacks of bugs as well.

    `secrets` are struck out of it. Returns what writes it, for whoever must take it
    away again.
    """
    redact = Redactor(secrets)
    handler = logging.StreamHandler()
    lines = _Lines(redact)
    handler.setFormatter(lines if form is Form.TEXT else _Objects(service, redact))
    root = logging.getLogger()
    root.setLevel(level.upper())
    root.addHandler(handler)
    logging.captureWarnings(True)  # noqa: FBT003  the only way to say it
    sys.excepthook = _tell_of_bug
    return handler


def _tell_of_bug(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    what = "this is a fault of Lineshaft: %s"
    log = logging.getLogger("lineshaft")
    log.critical(what, kind.__name__, exc_info=(kind, error, trace))
