"""Pages of the documentation, taken apart: blocks, links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w*)[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words behind it, what is in it."""

    language: str
    words: str
    text: str


def pages() -> list[Path]:
    """Return every page, in order."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found += (ROOT / "src").rglob("network/drivers/*/README.md")
    return sorted(found)


def name_of(page: Path) -> str:
    """Return what a test calls a page."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    return [Block(*match.groups()) for match in _BLOCK.finditer(page.read_text())]


def links(page: Path) -> Iterator[str]:
    """Yield the links of a page that lead to files."""
    text = _BLOCK.sub("", page.read_text())
    for link in _LINK.findall(text):
        if "://" not in link:
            yield link
