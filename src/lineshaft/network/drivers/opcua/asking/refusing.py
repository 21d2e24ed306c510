"""What it means when a server does not do what it was told."""

from collections.abc import Iterator
from contextlib import contextmanager

from asyncua import ua

from lineshaft.core.errors import Refused
from lineshaft.network.drivers.opcua.session import SERVER_IS_GONE
from lineshaft.network.drivers.opcua.wire.values import name_of


@contextmanager
def refusals(url: str) -> Iterator[None]:
    """Turn an answer that says no into `Refused`; silence is another matter."""
    try:
        yield
    except ua.UaStatusCodeError as error:
        if error.code in SERVER_IS_GONE:
            raise
        raise Refused(told(url, error.code)) from error


def told(url: str, code: int) -> str:
    """Return what a server that says no means."""
    doc = ua.status_codes.get_name_and_doc(code)[1]
    return f"{url} refused: OPC UA {name_of(code)} ({doc})"
