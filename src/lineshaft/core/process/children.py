"""Programs that run beside us: started, watched, started again, stopped.

They get a session of their own, so that Ctrl-C reaches only us and we stop them in
order; and the kernel stops them when we are killed without a goodbye.
"""

import asyncio
import ctypes
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from lineshaft.core.errors import ConfigError

FIRST_RESTART_S = 1.0
LAST_RESTART_S = 30.0
STOP_WITHIN_S = 15.0
MISCONFIGURED = 2
"""The exit code of a program that must not be started again as it is."""
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Program:
    """What to start."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to our own."""
    nice: int = 0
    """How far it stands back when the processors are busy, 0 to 19."""


async def start(program: Program, *, stderr: int | None = None) -> Process:
    """Start the program once; its standard output is not read."""
    return await asyncio.create_subprocess_exec(
        *program.arguments,
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=stderr,
        env={**os.environ, **program.environment},
        start_new_session=True,
        preexec_fn=partial(_prepare, program.nice),
    )


async def stop(process: Process, within_s: float = STOP_WITHIN_S) -> None:
    """Ask the program to end, and insist when it does not."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(within_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


class Keeper:
    """A service that keeps one program running."""

    def __init__(self, program: Program, on_end: Callable[[str, int], None]) -> None:
        self._program = program
        self._on_end = on_end
        self._process: Process | None = None
        self._is_asked_to_end = False

    async def restart(self) -> None:
        """End the program in good order; `run` starts it again at once."""
        if self._process is not None:
            self._is_asked_to_end = True
            await stop(self._process)

    async def run(self) -> None:
        """Run it until cancelled; `ConfigError` when it says that it cannot start.

        When it ends, `on_end` is told its name and exit code, and it is started
        again at growing intervals.
        """
        pause_s = FIRST_RESTART_S
        while True:
            self._process = process = await start(self._program)
            loop = asyncio.get_running_loop()
            began = loop.time()
            try:
                code = await process.wait()
            finally:
                await stop(process)
            if self._is_asked_to_end:
                self._is_asked_to_end = False
                continue
            if code == MISCONFIGURED:
                raise ConfigError(
                    f"{self._program.name} cannot start; it says why above"
                )
            self._on_end(self._program.name, code)
            lasted_s = loop.time() - began
            pause_s = FIRST_RESTART_S if lasted_s > LAST_RESTART_S else pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LAST_RESTART_S)


def _prepare(nice: int) -> None:
    """Stand back, and ask the kernel to stop this process when its parent is gone."""
    os.nice(nice)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
