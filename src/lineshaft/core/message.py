"""Messages in JSON or MessagePack that come from outside: ours, or refused."""

from typing import TypeVar

import msgspec

from lineshaft.core.errors import Refused

T = TypeVar("T")
_NOT_OURS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Text that is not UTF-8 and nesting without end are errors of their own."""


def read_json(data: bytes, kind: type[T], what: str) -> T:
    """Return the message; `Refused` says that it is not `what`, and why."""
    try:
        return msgspec.json.decode(data, type=kind)
    except _NOT_OURS as error:
        raise Refused(f"this is not {what}: {error}") from error


def read_msgpack(data: bytes, kind: type[T], what: str) -> T:
    """Return the message; `Refused` says that it is not `what`, and why."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except _NOT_OURS as error:
        raise Refused(f"this is not {what}: {error}") from error
