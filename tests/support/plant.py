"""A whole plant in processes of its own, as a user starts it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import psutil

WITHIN_S = 90.0
STOPS_WITHIN_S = 40.0
FREE_PORTS = {"LINESHAFT_WEB__PORT": "0"}


def ask(request: str | Request) -> Any:
    """Return the JSON of an answer; an error leaves no connection behind."""
    try:
        with urlopen(request, timeout=WITHIN_S) as answer:
            return json.load(answer)
    except HTTPError as error:
        with error:
            raise OSError(f"{error.code}: {error.read().decode()}") from None


@dataclass(frozen=True)
class RunningPlant:
    """A plant that runs, and how to ask it."""

    process: subprocess.Popen[str]
    url: str
    bus: str
    data: Path

    def get(self, path: str, **parameters: str) -> Any:
        """Return the answer of the API."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return ask(f"{self.url}/api/v1{path}{query}")

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """Return the answer of the API to a POST."""
        request = Request(
            f"{self.url}/api/v1{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        return ask(request)

    def value(self, name: str) -> Any:
        """Return the newest reading of a point."""
        [reading] = self.get("/readings", pattern=name)
        return reading

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something to become true."""
        wait_for(condition, what)

    def children(self) -> list[psutil.Process]:
        """Return every process that belongs to the plant."""
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(
            recursive=True
        )
        return found

    def running(self, words: str) -> list[psutil.Process]:
        """Return the processes of the plant whose command has these words."""
        found = []
        for child in self.children():
            try:
                if words in " ".join(child.cmdline()):
                    found.append(child)
            except psutil.Error:
                pass  # it has just ended
        return found


def wait_for(
    condition: Callable[[], object], what: str, within: float = WITHIN_S
) -> None:
    """Wait for something to become true; fail with `what` when it does not."""
    limit = time.monotonic() + within
    while not condition():
        assert time.monotonic() < limit, f"{what} within {within:.0f} s"
        time.sleep(0.1)


@contextmanager
def started(
    arguments: Sequence[str], data: Path, environment: Mapping[str, str] | None = None
) -> Iterator[RunningPlant]:
    """Run `lineshaft ARGUMENTS --data DATA` until the block is left."""
    log = data.parent / f"{data.name}.log"
    command = [sys.executable, "-m", "lineshaft", *arguments, "--data", str(data)]
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **FREE_PORTS, **(environment or {})},
        )
        children: list[psutil.Process] = []
        try:
            where = data / "running.json"
            wait_for(
                lambda: where.exists() or process.poll() is not None,
                f"{' '.join(arguments)} runs",
            )
            assert process.poll() is None, log.read_text()
            told = json.loads(where.read_text())
            plant = RunningPlant(process, told["url"], told["bus"], data)
            yield plant
            children = plant.children()
        finally:
            process.terminate()
            try:
                process.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    left = [child for child in children if child.is_running()]
    assert not left, f"these were left running: {left}"
    assert process.returncode == 0, log.read_text()
