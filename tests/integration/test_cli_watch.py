"""`watch` follows the live stream, also over a connection that is cut."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from lineshaft.cli import stream
from lineshaft.cli.verbs import execute
from support.plant_api import announce, reading

NAME = "acme/press/force"
WITHIN_S = 40.0


@dataclass
class LiveServer:
    """Numbers readings as the plant does; cuts each connection after a few."""

    total: int = 9
    cut_after: int = 4
    turned_away: int = 0
    """How many that come back are answered 503 first."""
    hung_up: int = 0
    """How many find the connection closed before a word is said."""
    refusal: str = ""
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    port: int = 0

    async def talk(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        query = parse_qs(urlsplit(socket.request.path).query)
        self.asked.append(query)
        if self.refusal:
            await socket.close(4400, self.refusal)
            return
        told = int(query.get("resume", ["0"])[0])
        kind = "readings" if told else "snapshot"
        until = min(told + self.cut_after, self.total)
        for number in range(told + 1, until + 1):
            said = [reading(NAME, number)]
            await self.say(socket, kind=kind, token=str(number), readings=said)
            await self.say(socket, kind="health", health={"status": "ok"})
            kind = "readings"
        if until < self.total:
            # An answer to the ping says that everything before it has arrived.
            await (await socket.ping())
            socket.transport.abort()
        await socket.wait_closed()

    async def say(self, socket: ServerConnection, **parts: object) -> None:
        await socket.send(json.dumps(parts))

    def turn_away(self, socket: ServerConnection, _: Request) -> Response | None:
        if self.asked and self.turned_away:
            self.turned_away -= 1
            return socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, "not yet")
        if self.hung_up:
            self.hung_up -= 1
            socket.transport.abort()
        return None


@asynccontextmanager
async def live(server: LiveServer) -> AsyncIterator[LiveServer]:
    listening = serve(
        server.talk, "127.0.0.1", 0, process_request=server.turn_away, close_timeout=1
    )
    async with listening as listener:
        server.port = next(iter(listener.sockets)).getsockname()[1]
        yield server


async def follow(server: LiveServer) -> list[object]:
    heard: list[object] = []
    following = stream.follow(f"http://127.0.0.1:{server.port}", [NAME, "b/**"])
    async with asyncio.timeout(WITHIN_S):
        async for each in following:
            heard.append(each["value"])
            if len(heard) == server.total:
                break
    await following.aclose()  # type: ignore[attr-defined]  # it is a generator
    return heard


async def test_a_cut_connection_costs_no_reading_and_doubles_none() -> None:
    async with live(LiveServer()) as server:
        assert await follow(server) == list(range(1, 10))
    assert [asked.get("resume") for asked in server.asked] == [None, ["4"], ["8"]]
    assert all(asked["pattern"] == [NAME, "b/**"] for asked in server.asked)


async def test_a_plant_that_is_away_for_a_while_is_waited_for() -> None:
    async with live(LiveServer(turned_away=2)) as server:
        assert await follow(server) == list(range(1, 10))
    assert server.turned_away == 0


async def test_a_plant_that_hangs_up_at_once_is_tried_again() -> None:
    async with live(LiveServer(hung_up=2)) as server:
        assert await follow(server) == list(range(1, 10))
    assert server.hung_up == 0


@asynccontextmanager
async def watching(
    data: Path, *options: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lineshaft", "watch", NAME, "--data", str(data)),
        *options,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (
            ["--json"],
            lambda line: (
                json.loads(line).keys() == {"name", "value", "quality", "time", "unit"}
            ),
        ),
        ([], lambda line: line.decode().endswith(f"{NAME} = 1 mm good\n")),
    ],
)
async def test_watch_prints_a_line_for_each_reading_until_ctrl_c(
    tmp_path: Path, options: list[str], shown: Callable[[bytes], bool]
) -> None:
    async with live(LiveServer(total=1)) as server:
        announce(tmp_path, f"http://127.0.0.1:{server.port}")
        async with watching(tmp_path, *options) as process, asyncio.timeout(WITHIN_S):
            assert process.stdout is not None
            line = await process.stdout.readline()
            assert shown(line), line
            process.send_signal(signal.SIGINT)
            rest, complaints = await process.communicate()
    assert process.returncode == 130
    assert (rest, complaints) == (b"", b"")


async def test_patterns_that_make_no_sense_end_it_with_the_plant_s_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with live(LiveServer(refusal="'a b' is not a pattern")) as server:
        announce(tmp_path, f"http://127.0.0.1:{server.port}")
        arguments = ["watch", "a b", "--data", str(tmp_path)]
        assert await asyncio.to_thread(execute, arguments) == 1
    assert "'a b' is not a pattern" in capsys.readouterr().err
