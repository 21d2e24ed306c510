"""The folder tree is the architecture: what import-linter does not see."""

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "lineshaft"
DRIVERS = SOURCE / "network" / "drivers"
NORTHBOUND = SOURCE / "network" / "northbound"
SECURITY = SOURCE / "security"
WEB = SOURCE / "web"
FILES = sorted(
    path for path in SOURCE.rglob("*.py") if not path.name.endswith("_pb2.py")
)
NAMES_THAT_SAY_NOTHING = {
    "utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "handler"
}  # fmt: skip
VOCABULARY = {"lineshaft", "numpy", "msgspec", "pydantic", "typing_extensions"}
"""Words that every room may use; docs/decisions/0002-libraries.md says why."""
MOST_LINES, MOST_FUNCTION_LINES, MOST_ENTRIES = 500, 60, 12


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        first = function.body[0]
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def outside_imports(path: Path) -> set[str]:
    import sys

    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - VOCABULARY - sys.stdlib_module_names


def test_files_and_functions_stay_below_their_ceilings() -> None:
    long_files = [p for p in FILES if p.read_text("utf-8").count("\n") > MOST_LINES]
    lengths = sorted(
        (length(function), f"{path.name}:{function.name}")
        for path in FILES
        for function in functions(path)
    )
    assert not long_files
    assert lengths[-1][0] <= MOST_FUNCTION_LINES, lengths[-1]
    assert lengths[len(lengths) * 95 // 100][0] <= 30


def test_every_name_says_something() -> None:
    assert not [path for path in FILES if path.stem in NAMES_THAT_SAY_NOTHING]


def test_a_folder_has_about_a_dozen_entries() -> None:
    crowded = {
        str(folder.relative_to(SOURCE)): len(entries)
        for folder in [SOURCE, *(p for p in SOURCE.rglob("*") if p.is_dir())]
        if "static" not in folder.parts and folder.name != "__pycache__"
        if len(
            entries := [
                entry
                for entry in folder.iterdir()
                if not entry.name.startswith(("_", "."))
            ]
        )
        > MOST_ENTRIES
    }
    assert not crowded


def test_each_outside_library_is_imported_in_one_file_or_one_driver() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for path in FILES:
        # What goes out by a protocol may use the library of what comes in by it;
        # the routes of the API share its framework.
        homes = [home for home in (DRIVERS, NORTHBOUND, WEB) if home in path.parents]
        driver = path.relative_to(homes[0]).parts[0] if homes else ""
        for library in outside_imports(path):
            # Keys, certificates and signatures are the daily bread of that room.
            bread = library == "cryptography" and SECURITY in path.parents
            home = "security" if bread else driver or str(path.relative_to(SOURCE))
            places[library].add(home)
    # What a certificate of another says is also shown by the command line.
    places["cryptography"].discard("cli/machines/tls.py")
    assert not {name: where for name, where in places.items() if len(where) > 1}


def test_every_outside_library_is_declared_and_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {re.split(r"[<>=~! ]", entry)[0] for entry in project["dependencies"]}
    page = (ROOT / "docs/decisions/0002-libraries.md").read_text("utf-8")
    unexplained = {name for name in declared if f"`{name}`" not in page}
    assert not unexplained


def test_catch_all_excepts_are_none() -> None:
    blind = [
        f"{path.name}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ExceptHandler)
        if node.type is None
        or (isinstance(node.type, ast.Name) and node.type.id == "Exception")
    ]
    assert not blind


@pytest.mark.parametrize(
    "driver",
    sorted(p.name for p in DRIVERS.iterdir() if p.is_dir() and p.name[0] != "_"),
)
def test_every_driver_is_announced_explained_and_tried(driver: str) -> None:
    folder = DRIVERS / driver
    assert driver in entry_points(group="lineshaft.drivers").names
    for name in ("driver.py", "README.md", "example.toml", "example.csv"):
        assert (folder / name).is_file(), f"{driver} has no {name}"
    peers = list((ROOT / "tests" / "support").glob(f"{driver}_peer.py"))
    assert peers, f"{driver} has no peer for the contract test"


def test_every_driver_that_is_announced_has_a_folder() -> None:
    names = {path.name for path in DRIVERS.iterdir() if (path / "driver.py").is_file()}
    assert names == set(entry_points(group="lineshaft.drivers").names)


def test_no_tracked_file_names_a_registry_or_a_path_of_a_machine() -> None:
    import subprocess

    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    words = [
        "pypi" + ".org", "python" + "hosted", "npmjs" + ".", "debian" + ".org",
        "/wo" + "rk/", "/ro" + "ot/",
    ]  # fmt: skip
    found = []
    for name in filter(None, listed):
        path = ROOT / name
        if path.is_file():
            text = path.read_bytes().decode("utf-8", errors="ignore")
            found += [f"{name}: {word}" for word in words if word in text]
    assert not found
