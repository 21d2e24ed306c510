"""Where a Modbus device is, how it is reached, and what it can take."""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, Field, model_validator

from lineshaft.network.drivers.modbus.address import Order


class Framing(StrEnum):
    """How questions and answers are wrapped."""

    TCP = "tcp"
    RTU = "rtu"


class Parity(StrEnum):
    """The ninth bit of a character on a serial line."""

    EVEN = "even"
    ODD = "odd"
    NONE = "none"


_SERIAL_ONLY = {"baud", "parity", "stop_bits", "echo"}
_RTU_ONLY = {"answer_s", "pause_s", "turnaround_s"}


class Settings(BaseModel, frozen=True, extra="forbid"):
    """Where the device is, and what it can take."""

    host: str = Field(
        default="",
        description="IP address or host name of the device or gateway; this or "
        "`serial`.",
    )
    port: int = Field(default=502, ge=1, le=65_535, description="TCP port.")
    framing: Framing = Field(
        default=Framing.TCP,
        description="`tcp`, or `rtu` for a serial device server that passes RTU "
        "frames on unchanged (RTU over TCP). A serial line is always RTU.",
    )
    serial: str = Field(
        default="",
        description="Serial port of an RTU line, like /dev/ttyUSB0; instead of `host`.",
    )
    baud: int = Field(
        default=19_200, ge=50, le=4_000_000, description="Bits per second of the line."
    )
    parity: Parity = Field(
        default=Parity.EVEN, description="Parity of the line: even, odd or none."
    )
    stop_bits: int = Field(
        default=1,
        ge=1,
        le=2,
        description="Stop bits of the line; the standard wants 2 without parity.",
    )
    unit: int = Field(
        default=1, ge=0, le=255, description="Unit of addresses that name none."
    )
    timeout_s: float = Field(
        default=1.0,
        gt=0,
        description="How long a connection or, with TCP framing, an answer may take.",
    )
    answer_s: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="How long an answer may take with RTU framing. One unit that is "
        "dead costs the others this time, now and then.",
    )
    pause_s: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="Least silence between two frames of an RTU line, where a unit "
        "needs more than the 3.5 characters of the standard.",
    )
    turnaround_s: float = Field(
        default=0.1,
        ge=0,
        le=10,
        description="Silence after a broadcast, in which the units act on it.",
    )
    echo: bool = Field(
        default=False,
        description="The adapter hears what it sends (RS-485 with two wires and no "
        "echo suppression); drop it.",
    )
    order: Order = Field(
        default=Order.ABCD,
        description="Order of bytes in values of several registers: abcd, badc, cdab, "
        "dcba; an address may say otherwise.",
    )
    max_registers: int = Field(
        default=125, ge=1, le=125, description="Most registers of one read."
    )
    max_bits: int = Field(
        default=2000, ge=1, le=2000, description="Most bits of one read."
    )
    max_gap: int = Field(
        default=16,
        ge=0,
        description="Registers that may be read for nothing to join two values into "
        "one request; 0 for never.",
    )
    write_multiple: bool = Field(
        default=False,
        description="Write single values by functions 15 and 16, for devices that do "
        "not know 5 and 6.",
    )

    @property
    def is_rtu(self) -> bool:
        """Whether several units share one line."""
        return bool(self.serial) or self.framing is Framing.RTU

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        given = self.model_fields_set
        if bool(self.host) == bool(self.serial):
            raise ValueError(
                "needs either host, for a network, or serial, for a serial port"
            )
        if (
            self.serial
            and given & {"port", "framing"}
            and self.framing is not (Framing.RTU)
        ):
            raise ValueError("port and framing = tcp belong to host, not to serial")
        useless = set() if self.serial else given & _SERIAL_ONLY
        useless |= set() if self.is_rtu else given & _RTU_ONLY
        if useless:
            road = "a serial port" if useless & _SERIAL_ONLY else "RTU framing"
            raise ValueError(f"{', '.join(sorted(useless))}: only with {road}")
        return self
