"""The Sparkplug library of the specification's authors, in a process of its own."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.peers import need_node

WITHIN_S = 60.0


@asynccontextmanager
async def open_node() -> AsyncIterator[Process]:
    node, home = need_node("sparkplug_js")
    process = await asyncio.create_subprocess_exec(
        node, str(home / "peer.js"), stdin=PIPE, stdout=PIPE
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def ask(process: Process, verb: str, what: object) -> object:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([verb, what]).encode() + b"\n")
    async with asyncio.timeout(WITHIN_S):
        return json.loads(await process.stdout.readline())
