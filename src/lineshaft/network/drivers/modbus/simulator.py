"""A Modbus TCP gateway with energy meters behind it, as a process of its own.

    python -m lineshaft.network.drivers.modbus.simulator --port 0 --die-with-parent

It prints one line of JSON, `{"host": ..., "port": ...}`, once it can be connected, and
ends on SIGTERM or, with `--die-with-parent`, when its standard input ends.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from lineshaft.core.process.stopping import told_to_stop
from lineshaft.network.drivers.modbus.meters import (
    INPUTS,
    UNITS,
    Disturbance,
    Fault,
    energy_kwh,
    fault_at,
    input_registers,
    point_list,
    values_at,
)

__all__ = ["point_list", "serve"]

HOST = "127.0.0.1"
_FRESH_S = 0.1
"""Questions within this time see the same values; it keeps the processor idle."""
_TARIFFS = range(1, 5)
_HOLDINGS = 10
_DRIFT_C_PER_S = 0.5
_READS_DISCRETE, _READS_INPUTS = 2, 4
_WRITES_COIL = {5, 15}
_WRITES_HOLDING = {6, 16, 22}
_ANY_UNIT = 0
"""To pymodbus, the unit that answers for all that are not there."""


class Meter:
    """One unit: what it answers, and what was written to it."""

    def __init__(self, unit: int, every_s: float, units: tuple[int, ...]) -> None:
        self._unit = unit
        self._every_s = every_s
        self._units = units
        self._started_s = time.monotonic()
        self._asked_s = time.time()
        self._fresh_until_s = 0.0
        self._relay = True
        self._missed_kwh = 0.0
        self._inputs: list[int] = []
        self._alarm = False
        self._refresh(None)

    def device(self) -> SimDevice:
        """Return it as pymodbus serves it."""
        bits = [True] + [False] * 15
        return SimDevice(
            id=self._unit,
            simdata=(
                [SimData(0, values=bits, datatype=DataType.BITS)],
                [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
                [SimData(0, values=[1] * _HOLDINGS, datatype=DataType.REGISTERS)],
                [SimData(0, values=[0] * INPUTS, datatype=DataType.REGISTERS)],
            ),
            action=self._act,
        )

    async def _act(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Refresh what is about to be read; judge what is about to be written."""
        fault = self._fault()
        if fault is not None and fault.kind is Disturbance.SILENT:
            return ExcCodes.GATEWAY_NO_RESPONSE
        if written is not None:
            return self._take(function, address, written)
        if fault is None or fault.kind is not Disturbance.STUCK:
            self._refresh(fault)
        if function == _READS_INPUTS:
            registers[:INPUTS] = self._inputs
        elif function == _READS_DISCRETE:
            registers[0] = int(self._alarm)
        return None

    def _fault(self) -> Fault | None:
        elapsed = time.monotonic() - self._started_s
        fault = fault_at(elapsed, self._every_s, self._units)
        return fault if fault is not None and fault.unit == self._unit else None

    def _take(
        self, function: int, address: int, written: list[int] | list[bool]
    ) -> ExcCodes | None:
        if function in _WRITES_COIL and address == 0:
            self._count(time.time())
            self._relay = bool(written[0])
            self._fresh_until_s = 0.0
        if function in _WRITES_HOLDING and address == 0 and written[0] not in _TARIFFS:
            return ExcCodes.ILLEGAL_VALUE
        return None

    def _count(self, now_s: float) -> None:
        """Let the counter stand still while the relay is open."""
        if not self._relay:
            passed = energy_kwh(self._unit, now_s) - energy_kwh(
                self._unit, self._asked_s
            )
            self._missed_kwh += passed
        self._asked_s = now_s

    def _refresh(self, fault: Fault | None) -> None:
        now = time.time()
        if now < self._fresh_until_s:
            return
        self._fresh_until_s = now + _FRESH_S
        self._count(now)
        values = values_at(self._unit, now, relay=self._relay)
        values["energy"] = float(values["energy"]) - self._missed_kwh
        if fault is not None and fault.kind is Disturbance.DRIFT:
            creep = fault.age_s * _DRIFT_C_PER_S
            values["temperature"] = float(values["temperature"]) + creep
        self._alarm = bool(values["alarm"])
        self._inputs = input_registers(values)


async def _nobody(*_: object) -> ExcCodes | None:
    return ExcCodes.GATEWAY_NO_RESPONSE


def _gateway(units: tuple[int, ...], every_s: float) -> list[SimDevice]:
    everything = SimData(0, count=65_536, values=0, datatype=DataType.REGISTERS)
    return [
        *(Meter(unit, every_s, units).device() for unit in units),
        SimDevice(id=_ANY_UNIT, simdata=everything, action=_nobody),
    ]


async def serve(
    port: int, units: tuple[int, ...], every_s: float, *, with_parent: bool
) -> None:
    """Serve until told to stop."""
    async with told_to_stop(with_input=with_parent) as stopped:
        server = ModbusTcpServer(_gateway(units, every_s), address=(HOST, port))
        await server.serve_forever(background=True)
        try:
            listener = cast("asyncio.Server", server.transport)
            bound = listener.sockets[0].getsockname()
            where = {"host": bound[0], "port": bound[1]}
            sys.stdout.write(json.dumps(where) + "\n")
            sys.stdout.flush()
            await stopped.wait()
        finally:
            await server.shutdown()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the simulator from a command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lineshaft.network.drivers.modbus.simulator",
        description="A Modbus TCP gateway with energy meters behind it.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 for any free one")
    parser.add_argument(
        "--units",
        type=lambda text: tuple(int(unit) for unit in text.split(",")),
        default=UNITS,
        help="unit numbers of the meters, like 1,2,3",
    )
    parser.add_argument(
        "--fault-every",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="begin a fault this often; 0 for none",
    )
    parser.add_argument("--die-with-parent", action="store_true")
    chosen = parser.parse_args(arguments)
    asyncio.run(
        serve(
            chosen.port,
            chosen.units,
            chosen.fault_every,
            with_parent=chosen.die_with_parent,
        )
    )


if __name__ == "__main__":
    main()
