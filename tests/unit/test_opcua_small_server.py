"""A server that lacks a service loses what needs it, and nothing else."""

from typing import cast

import pytest
from asyncua import ua

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.reading import Quality, Status
from lineshaft.network.drivers.opcua.address import parse_target
from lineshaft.network.drivers.opcua.asking.calling import Caller
from lineshaft.network.drivers.opcua.places import Finder, MethodPlace, Place
from lineshaft.network.drivers.opcua.session import Limits, Session, translated

NODE = ua.NodeId(1, 1)


class Faulty:
    """A session whose server answers each request with the same fault."""

    url = "opc.tcp://a:1"
    timeout_s = 1.0
    namespaces = ("http://opcfoundation.org/UA/", "urn:a")
    limits = Limits()

    def __init__(self, code: int) -> None:
        self.code = code

    async def ask(self, _request: object, action: str, _timeout_s: float) -> bytes:
        with translated(self.url, action):
            raise ua.UaStatusCodeError(self.code)


def session_of(code: int) -> Session:
    return cast("Session", Faulty(code))


TARGETS = [parse_target(text) for text in ("ns=1;i=7", "path:/Objects/1:a")]


async def test_a_server_that_knows_no_paths_still_has_its_other_nodes() -> None:
    session = session_of(ua.StatusCodes.BadServiceUnsupported)
    first, second = await Finder(session, session.namespaces).find(TARGETS)
    assert first == Place(ua.NodeId(7, 1))
    assert isinstance(second, Status)
    assert second.quality is Quality.BAD
    assert "BadServiceUnsupported" in second.reason


async def test_a_call_is_refused_by_a_server_that_calls_nothing() -> None:
    caller = Caller(session_of(ua.StatusCodes.BadServiceUnsupported))
    with pytest.raises(Refused, match="BadServiceUnsupported"):
        await caller.ask(MethodPlace(NODE, NODE), [])


async def test_a_server_that_is_gone_is_unreachable_for_paths_and_calls() -> None:
    session = session_of(ua.StatusCodes.BadSessionClosed)
    with pytest.raises(Unreachable):
        await Finder(session, session.namespaces).find(TARGETS)
    with pytest.raises(Unreachable):
        await Caller(session).ask(MethodPlace(NODE, NODE), [])
