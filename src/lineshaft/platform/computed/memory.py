"""What the room needs to go on after its end, in one file, replaced as a whole."""

import os
from pathlib import Path

import msgspec

from lineshaft.core.errors import Refused
from lineshaft.core.message import read_msgpack
from lineshaft.core.reading import Quality, Status, Value
from lineshaft.platform.computed.engine import Engine, Known

_VERSION = 1
_Wire = tuple[Value | None, Quality, str, int]


class State(msgspec.Struct, frozen=True):
    """Everything that is known behind one message of the stream."""

    version: int
    stream: str
    """Which stream `sequence` counts in."""
    sequence: int
    inputs: dict[str, _Wire]
    told: dict[str, _Wire]
    expressions: dict[str, str]
    memories: dict[str, list[list[tuple[int, float]]]]
    """Of each computed point, what its parts over time have kept."""


def state_of(engine: Engine, stream: str, sequence: int) -> State:
    """Return what the engine knows behind message `sequence`."""
    told = {
        formula.point.name: said
        for position, formula in enumerate(engine.formulas)
        if (said := engine.told(position)) is not None
    }
    return State(
        _VERSION,
        stream,
        sequence,
        {name: _to_wire(said) for name, said in engine.inputs().items()},
        {name: _to_wire(said) for name, said in told.items()},
        {f.point.name: f.program.text for f in engine.formulas},
        {
            f.point.name: [memory.kept() for memory in f.program.memories]
            for f in engine.formulas
            if f.program.memories
        },
    )


def restore(engine: Engine, state: State) -> None:
    """Let the engine go on there; a changed expression begins its memories anew."""
    inputs = {name: _from_wire(said) for name, said in state.inputs.items()}
    told = {name: _from_wire(said) for name, said in state.told.items()}
    engine.restore(inputs, told)
    for formula in engine.formulas:
        name, program = formula.point.name, formula.program
        kept = state.memories.get(name, [])
        if state.expressions.get(name) == program.text:
            for memory, each in zip(program.memories, kept, strict=True):
                memory.restore(each)


def read_state(file: Path) -> State | None:
    """Return what an earlier life has written; None if there is nothing to go on with.

    `Refused` when the file is no such state.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    state = read_msgpack(data, State, f"the state in {file}")
    if state.version != _VERSION:
        raise Refused(f"{file} has version {state.version}, this is {_VERSION}")
    return state


def write_state(file: Path, state: State) -> None:
    """Replace the file; a crash leaves the one from before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    with fresh.open("wb") as out:
        out.write(msgspec.msgpack.encode(state))
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)


def _to_wire(said: Known) -> _Wire:
    return said.value, said.status.quality, said.status.reason, said.time_us


def _from_wire(said: _Wire) -> Known:
    value, quality, reason, time_us = said
    return Known(value, Status(quality, reason), time_us)
