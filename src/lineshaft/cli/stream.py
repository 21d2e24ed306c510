"""Follow the live stream of a plant; only this file knows WebSockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from lineshaft.core.errors import NotFound

RETRY_S = 1.0
REFUSED = 4400
"""The plant closes so when asking again would not help."""


async def follow(url: str, patterns: Sequence[str]) -> AsyncIterator[dict[str, Any]]:
    """Yield readings for ever, first the newest of each point.

    After a lost connection it goes on where it was, so that none is missed or told
    twice as long as the plant still has them.
    """
    address = url.replace("http", "ws", 1) + "/api/v1/live?"
    parameters = [("pattern", pattern) for pattern in patterns]
    token: str | None = None
    while True:
        resume = [("resume", token)] if token else []
        try:
            async with connect(
                address + urlencode([*parameters, *resume]), max_size=None, proxy=None
            ) as socket:
                async for message in socket:
                    said = json.loads(message)
                    token = said.get("token", token)
                    for reading in said.get("readings", ()):
                        yield reading
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code == REFUSED:
                raise NotFound(closed.rcvd.reason) from closed
        except (OSError, InvalidHandshake):
            pass  # it comes back, or the user stops us
        await asyncio.sleep(RETRY_S)
