"""A point: one thing that a device can tell, and how the plant wants to hear it."""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """The type of a point's values."""

    FLOAT = "float"
    INT = "int"
    BOOL = "bool"
    STRING = "string"


class Point(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of a point list."""

    name: str
    """Where it is in the plant; see `core.name`."""
    address: str
    """Where it is in the device, in the driver's own notation."""
    type: Kind = Kind.FLOAT
    unit: str = ""
    """Symbol of the scaled value's unit, as people write it; empty for none."""
    scale: float = 1.0
    offset: float = 0.0
    """value = raw * scale + offset"""
    deadband: float = 0.0
    """In units of the scaled value; a smaller change is not reported."""
    period_s: float = 1.0
    """How often it is asked for, or at least expected."""
    description: str = ""
    writable: bool = False
    """Whether a command may change it; no, unless the list says so."""
