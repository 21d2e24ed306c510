"""Which modules a Go program was built from, as it says itself.

The linker leaves them in the program: a mark of 16 bytes, flags, and at 32 bytes two
strings with their lengths before them (Go 1.18 and later, debug/buildinfo).
"""

import msgspec

from lineshaft.core.errors import Refused

_MARK = b"\xff Go buildinf:"
_HEADER, _ALIGNED = 32, 16
_INLINE = 0x2
"""Flag: the strings stand here, and are not pointed to."""
_SENTINEL = 16
"""Bytes of a mark before and behind the list of modules."""
_LARGEST = 1 << 24


class Module(msgspec.Struct, frozen=True):
    """A Go module that is in a program."""

    path: str
    version: str


class Build(msgspec.Struct, frozen=True):
    """What a program was built from."""

    compiler: str
    """Such as `go1.25.1`."""
    main: Module | None
    modules: tuple[Module, ...]


def read_build(program: bytes) -> Build:
    """Return what the program says of its build; `Refused` if it says nothing."""
    at = program.find(_MARK)
    while at >= 0 and at % _ALIGNED:
        at = program.find(_MARK, at + 1)
    if at < 0 or len(program) < at + _HEADER or not program[at + 15] & _INLINE:
        raise Refused("the program does not say from which Go modules it was built")
    compiler, at = _text(program, at + _HEADER)
    told, _ = _text(program, at)
    lines = told[_SENTINEL:-_SENTINEL].decode("utf-8", "replace").splitlines()
    return _build(compiler.decode("utf-8", "replace"), lines)


def _build(compiler: str, lines: list[str]) -> Build:
    main: Module | None = None
    modules: list[Module] = []
    for line in lines:
        what, *rest = line.split("\t")
        if len(rest) < 2:  # noqa: PLR2004  path and version
            continue
        module = Module(rest[0], rest[1])
        if what == "mod":
            main = module
        elif what == "dep":
            modules.append(module)
        elif what == "=>" and modules:  # replaces the one before
            modules[-1] = module
    return Build(compiler, main, tuple(modules))


def _text(program: bytes, at: int) -> tuple[bytes, int]:
    """Return a string and where it ends."""
    length = shift = 0
    while True:
        if at >= len(program) or length > _LARGEST:
            raise Refused("what the program says of its Go modules is cut off")
        byte = program[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004  the last byte of a varint
            break
    if at + length > len(program):
        raise Refused("what the program says of its Go modules is cut off")
    return program[at : at + length], at + length
