"""Follow the live stream of a plant; only this file knows WebSockets."""

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from lineshaft.cli.plant import TOKEN
from lineshaft.core.errors import Denied, NotFound

RETRY_S = 1.0
REFUSED = 4400
"""The plant closes so when asking again would not help."""
NOBODY = 4401
"""The plant closes so when it knows no more who follows."""
NOT_FOR_US = (401, 403)


async def follow(
    url: str, patterns: Sequence[str], roots: str = ""
) -> AsyncIterator[dict[str, Any]]:
    """Yield readings for ever, first the newest of each point.

    After a lost connection it goes on where it was, so that none is missed or told
    twice as long as the plant still has them.
    """
    address = url.replace("http", "ws", 1) + "/api/v1/live?"
    parameters = [("pattern", pattern) for pattern in patterns]
    token: str | None = None
    bearer = os.environ.get(TOKEN, "")
    login = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    trusted = ssl.create_default_context(cafile=roots) if roots else None
    while True:
        resume = [("resume", token)] if token else []
        wanted = address + urlencode([*parameters, *resume])
        with _lost():
            async with connect(
                wanted, additional_headers=login, ssl=trusted, max_size=None, proxy=None
            ) as socket:
                async for message in socket:
                    said = json.loads(message)
                    token = said.get("token", token)
                    for reading in said.get("readings", ()):
                        yield reading
        await asyncio.sleep(RETRY_S)


@contextmanager
def _lost() -> Iterator[None]:
    """Pass over a lost connection, which comes back; raise where asking is in vain."""
    try:
        yield
    except ConnectionClosed as closed:
        code, reason = (
            (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (0, "")
        )
        if code == REFUSED:
            raise NotFound(reason) from closed
        if code == NOBODY:
            raise Denied(reason) from closed
    except InvalidStatus as error:
        if error.response.status_code in NOT_FOR_US:
            raise Denied(
                f"the plant does not let us follow its values; {TOKEN} may hold a "
                "token that `lineshaft people token` made"
            ) from error
    except (OSError, InvalidHandshake):
        pass  # it comes back, or the user stops us
