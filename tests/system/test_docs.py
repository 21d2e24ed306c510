"""Every command and every file in the documentation does what the page says.

How a page is written, so that this can be done:

- ```sh: each line is run, in an empty directory of the page's own, and must end with 0;
  lines that begin with `make` are asked of make with -n. `sh background`: started, and
  stopped at the end of the page. `sh fails`: must end with 1. `sh warns`: may, if
  there is something to warn of on this machine.
- ```toml NAME and ```csv NAME: written to a file of that name.
- ```python: run. ```json: must parse.
- ```text: not run: what needs a machine that is not here, or is no command.

Ports 5020 and 1883 are replaced by free ones; the page and the bus get free ports too.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lineshaft.core.process.ports import free_port, is_free
from support.doc_pages import ROOT, Block, blocks, links, name_of, pages
from support.plant import ask, wait_for

BIN = Path(sys.executable).parent
KNOWN = {"sh", "toml", "csv", "python", "json", "text"}
WITHIN_S = 60.0
PAGES = [page for page in pages() if "drivers" not in page.parts]


class Reader:
    """Does what a page says, in a directory of its own."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self._home = home
        self._stack = stack
        self._ports = {"5020": str(free_port()), "1883": str(free_port())}
        self._environment = {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "LINESHAFT_WEB__PORT": "0",
            "LINESHAFT_BUS__PORT": "0",
        }

    def follow(self, block: Block) -> None:
        text = self._on_free_ports(block.text)
        if block.language in ("toml", "csv"):
            (self._home / block.words).write_text(text)
        elif block.language == "python":
            self._run([sys.executable, "-c", text])
        elif block.language == "json":
            json.loads(text)
        elif block.language == "sh":
            for line in text.splitlines():
                self._type(line, block.words)

    def _on_free_ports(self, text: str) -> str:
        for usual, free in self._ports.items():
            text = re.sub(rf"\b{usual}\b", free, text)
        return text

    def _type(self, line: str, how: str) -> None:
        if line.startswith("make "):
            command = ["make", "-n", *shlex.split(line, comments=True)[1:]]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        elif how == "background":
            self._stack.enter_context(self._in_background(line))
        elif how == "fails":
            assert self._ends_with(line) == 1, line
        elif how == "warns":
            assert self._ends_with(line) in (0, 1), line
        elif line.startswith("lineshaft history"):
            # What was just said is a moment on its way.
            wait_for(lambda: self._ends_with(line) == 0, line, WITHIN_S)
        else:
            self._run(["bash", "-c", line])

    def _ends_with(self, line: str) -> int:
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self._home,
            env=self._environment,
            capture_output=True,
            check=False,
            timeout=WITHIN_S,
        ).returncode

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command,
            cwd=self._home,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN_S,
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout}{done.stderr}"

    @contextmanager
    def _in_background(self, line: str) -> Iterator[None]:
        log = self._home / "background.log"
        with log.open("a") as out:
            process = subprocess.Popen(
                shlex.split(line),
                cwd=self._home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        try:
            ready = self._served if "--port" in line else self._alive
            wait_for(
                lambda: process.poll() is not None or ready(),
                f"{line}: ready",
                WITHIN_S,
            )
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()
            try:
                process.wait(WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise

    def _served(self) -> bool:
        return not is_free(int(self._ports["5020"]))

    def _alive(self) -> bool:
        """Whether a plant runs here and every point was read."""
        where = self._home / "lineshaft-data" / "running.json"
        if not where.exists():
            return False
        time.sleep(0.1)
        url = json.loads(where.read_text())["url"]
        readings = ask(f"{url}/api/v1/readings")
        health = ask(f"{url}/api/v1/health")
        well = all(reading["quality"] == "good" for reading in readings)
        return well and health["status"] == "ok"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_says_works(page: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        reader = Reader(tmp_path, stack)
        for block in blocks(page):
            assert block.language in KNOWN, f"{name_of(page)}: {block}"
            reader.follow(block)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [link for link in links(page) if not (page.parent / link).exists()]
    assert not broken


@pytest.mark.parametrize(
    "folder",
    sorted(p.parent for p in (ROOT / "src").rglob("network/drivers/*/example.toml")),
    ids=lambda folder: folder.name,
)
def test_the_example_of_a_driver_is_sound(folder: Path, tmp_path: Path) -> None:
    for name in ("example.toml", "example.csv"):
        (tmp_path / name).write_text((folder / name).read_text())
    done = subprocess.run(
        [sys.executable, "-m", "lineshaft", "check", "--config", "example.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_is_called_running_names_what_shows_it() -> None:
    page = ROOT / "docs" / "explanation" / "industrial-internet.md"
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.read_text().splitlines()
        if line.startswith("| ") and ("| runs |" in line or "| not yet |" in line)
    ]
    assert len(rows) > 20
    helped = subprocess.run(
        [sys.executable, "-m", "lineshaft", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for system, part, state, shown_by in rows:
        if state == "not yet":
            assert not shown_by, f"{system}: {part}"
            continue
        name = shown_by.strip("`")
        if name.startswith("lineshaft "):
            assert f" {name.split()[1]} " in helped, name
        else:
            assert "def test_" in (ROOT / name).read_text(), name
