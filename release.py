"""Builds a release into `dist/` and signs it; see docs/how-to/verify-a-release.md.

python release.py key FILE     make the secret key, outside the tree; print the
                               public one
python release.py build        wheel, sources, SBOM, SHA256SUMS and its signature,
                               with the key that LINESHAFT_RELEASE_KEY names
python release.py sbom FILE    only the SBOM, and what it says of the page
python release.py vulnerabilities
                               ask a public source about the versions that are
                               pinned; 2 if it could not be asked
"""

import os
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import msgspec

from lineshaft.core.errors import ConfigError, LineshaftError
from lineshaft.security.supply.bom import bill
from lineshaft.security.supply.minisign import make_key, read_key
from lineshaft.security.supply.parts import PAGE, locked_parts, parts_of_lock
from lineshaft.security.supply.release import sign

ROOT = Path(__file__).parent
PINNED = ROOT / "requirements/run.txt"
PAGE_FILE = ROOT / "src/lineshaft/security/supply" / PAGE
KEY = "LINESHAFT_RELEASE_KEY"
NOT_CHECKED = 2
_FOUND = ("found ", "known vulnerabilit")
"""What pip-audit says when it found some; else it broke."""


def page() -> bytes:
    """Return what the page bundles, as it stands in the package."""
    lock = (ROOT / "frontend/package-lock.json").read_bytes()
    return msgspec.json.format(msgspec.json.encode(parts_of_lock(lock)), indent=2)


def sbom(file: Path, now: datetime) -> None:
    """Write the bill of materials of what is pinned."""
    PAGE_FILE.write_bytes(page() + b"\n")
    parts = locked_parts(PINNED.read_text("utf-8"))
    file.write_bytes(bill(parts, version("lineshaft"), now))


def build(dist: Path, now: datetime) -> None:
    """Build a release into an empty folder, and sign it."""
    named = os.environ.get(KEY)
    if not named:
        raise ConfigError(
            f"{KEY} names no file; make a key: python release.py key FILE"
        )
    file = Path(named).resolve()
    if ROOT in file.parents:
        raise ConfigError(f"the key {file} lies in the tree; move it elsewhere")
    key = read_key(file)
    if dist.exists() and any(dist.iterdir()):
        raise ConfigError(f"{dist} is not empty; a release is built into a new folder")
    dist.mkdir(parents=True, exist_ok=True)
    told = f"lineshaft-{version('lineshaft')}"
    sbom(dist / f"{told}.cdx.json", now)
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(dist)]
    subprocess.run(command, cwd=ROOT, check=True)
    signature = sign(dist, key, f"{told} {now.isoformat()}")
    print(f"{signature} by the key {key.public.name}")


def vulnerabilities() -> int:
    """Ask about known vulnerabilities: 0 none, 1 some, 2 not checked."""
    if find_spec("pip_audit") is None:
        print("not checked: pip-audit is not installed (pip install pip-audit)")
        return NOT_CHECKED
    asked = ["--requirement", str(PINNED), "--no-deps", "--disable-pip"]
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", *asked, "--progress-spinner", "off"],
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, end="")
    if done.returncode and not all(word in done.stderr.lower() for word in _FOUND):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"not checked: the source could not be asked: {last}")
        return NOT_CHECKED
    print(done.stderr, end="")
    return 1 if done.returncode else 0


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.fromtimestamp(float(seconds), UTC) if seconds else datetime.now(UTC)
    now = now.replace(microsecond=0)
    match arguments:
        case ["key", file]:
            print(make_key(Path(file)).public.text, end="")
        case ["build"]:
            build(ROOT / "dist", now)
        case ["sbom", file]:
            sbom(Path(file), now)
        case ["vulnerabilities"]:
            return vulnerabilities()
        case _:
            print(__doc__)
            return NOT_CHECKED
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LineshaftError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
