"""The files of the page, read once; without them, a page that says so."""

import mimetypes
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Lineshaft</title>
<h1>The page was not built</h1>
<p>Lineshaft runs, but this installation has no page. In a clone of the source, run
<code>make setup</code> and start again; it says why if it cannot build the page.</p>
<p>The <a href="/api/v1/openapi.json">API</a> and the command line work:
<code>lineshaft read '**'</code></p>
</html>
"""


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent."""

    data: bytes
    media_type: str
    cache: str


def read_files(folder: Path = STATIC) -> dict[str, File]:
    """Return every file of the page by its path, `index.html` first of all."""
    files = {
        str(path.relative_to(folder)): _read(path, path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    missing = File(_NOT_BUILT.encode(), "text/html", ASK_AGAIN)
    return {"index.html": missing} | files


def _read(path: Path, name: Path) -> File:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind.endswith(("javascript", "json", "svg+xml")) and kind[:5] != "text/":
        kind += "; charset=utf-8"  # the web framework adds it to text only
    # The names of built files in assets/ hold a hash of what is in them.
    cache = FOR_EVER if name.parts[0] == "assets" else ASK_AGAIN
    return File(path.read_bytes(), kind, cache)
