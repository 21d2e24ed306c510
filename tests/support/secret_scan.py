"""Finds secrets in tracked files: shapes of known keys, and words that look random.

What is meant to be there, such as keys of tests, stands in `allowed_secrets.txt` by the
first 16 digits of its SHA-256, so that the list itself holds no secret.

    python tests/support/secret_scan.py    prints what it finds; 1 if there is something
"""

import hashlib
import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALLOWED = Path(__file__).with_name("allowed_secrets.txt")
SHAPES = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}",
    "an access key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of GitHub": r"\bgh[pousr]_[A-Za-z0-9]{36,}\b",
    "a token of GitLab": r"\bglpat-[\w-]{20,}\b",
    "a token of Slack": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a key of Google": r"\bAIza[\w-]{35}\b",
    "a key of Stripe": r"\b[rs]k_live_[A-Za-z0-9]{20,}",
    "a JSON web token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "a seed of NATS": r"\bS[UAOCN][A-Z2-7]{56}\b",
    "a user with a password": r"\b[a-z][a-z+]{2,9}://[^\s/:@'\"{}<>]+:"
    r"[^\s/@'\"{}<>$]{8,}@",
}
"""What a secret looks like that says itself what it is."""
NAMED = re.compile(
    r"(?i)(?:password|passwd|secret|token|api_?key|private_?key|credential)\w*"
    r"['\"]?\s*[:=]\s*['\"]([^'\"\s]{12,})['\"]"
)
"""A value in quotes behind a word that calls it secret."""
RANDOM_BITS = 3.5
"""Entropy per character from which a value looks like one that nobody thought up."""
GENERATED = ("requirements/", "frontend/package-lock.json", "frontend/openapi.json")
"""Hashes of packages look random."""


@dataclass(frozen=True)
class Found:
    """Something that looks like a secret."""

    file: str
    line: int
    what: str
    mark: str
    """What goes onto the list if it is meant to be there."""


def entropy(text: str) -> float:
    """Return Shannon's entropy in bits per character."""
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


def scan(file: str, text: str) -> Iterator[Found]:
    """Yield everything in a file that looks like a secret."""
    for what, shape in SHAPES.items():
        for match in re.finditer(shape, text):
            yield _found(file, text, match.start(), what, match[0])
    for match in NAMED.finditer(text):
        if entropy(match[1]) >= RANDOM_BITS and _is_mixed(match[1]):
            yield _found(file, text, match.start(), "a secret value", match[1])


def _is_mixed(value: str) -> bool:
    """Whether it has digits and letters, as what is made at random has."""
    return bool(re.search(r"\d", value) and re.search(r"[A-Za-z]", value))


def _found(file: str, text: str, at: int, what: str, secret: str) -> Found:
    mark = hashlib.sha256(secret.encode()).hexdigest()[:16]
    return Found(file, text.count("\n", 0, at) + 1, what, mark)


def allowed() -> set[str]:
    """Return the marks of what is meant to be there."""
    lines = ALLOWED.read_text("utf-8").splitlines()
    return {line.split()[0] for line in lines if line and not line.startswith("#")}


def scan_tree(root: Path = ROOT) -> list[Found]:
    """Return what looks like a secret in tracked and new files, and is not allowed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    found: list[Found] = []
    for name in filter(None, listed):
        path = root / name
        if path.is_file() and not name.startswith(GENERATED):
            found += scan(name, path.read_bytes().decode("utf-8", errors="ignore"))
    known = allowed()
    return [each for each in found if each.mark not in known]


def main() -> int:
    """Print what was found."""
    found = scan_tree()
    for each in found:
        print(f"{each.file}:{each.line}: {each.what} (mark {each.mark})")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
