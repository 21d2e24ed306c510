"""Serve the press line by OPC UA."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from asyncua import Node, Server, ua

from lineshaft.core.point import Kind
from lineshaft.core.reading import Value
from lineshaft.network.drivers.opcua.simulator.press import (
    NAMESPACE,
    PRESSES,
    QUANTITIES,
    Disturbance,
    Fault,
    Quantity,
    fault_at,
    values_at,
)
from lineshaft.network.drivers.opcua.simulator.space import SmallServer

HOST = "127.0.0.1"
_EVERY_S = 0.25
_TYPES = {
    Kind.FLOAT: ua.VariantType.Double,
    Kind.INT: ua.VariantType.UInt32,
    Kind.BOOL: ua.VariantType.Boolean,
    Kind.STRING: ua.VariantType.String,
}
_UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"
_SETPOINT = "force_setpoint"
_LOGGER = "asyncua"


@dataclass(slots=True)
class _Variable:
    node: ua.NodeId
    press: int
    quantity: Quantity
    said: Value | None = None


class Line:
    """The presses in a server."""

    def __init__(self, server: Server, variables: list[_Variable]) -> None:
        self._server = server
        self._variables = variables
        self._listens = True

    async def run(self, fault_every_s: float) -> None:
        """Move the presses until cancelled."""
        started_s = time.monotonic()
        while True:
            fault = fault_at(time.monotonic() - started_s, fault_every_s)
            await self._cut_or_mend(fault)
            await self.step(time.time(), fault)
            await asyncio.sleep(_EVERY_S - time.time() % _EVERY_S)

    async def step(self, time_s: float, fault: Fault | None) -> None:
        """Give every variable its value at that time."""
        now = {
            press: values_at(
                press,
                time_s,
                self._setpoint(press),
                _lasted_s(fault, press, Disturbance.DRIFT),
            )
            for press in PRESSES
        }
        moment = datetime.fromtimestamp(time_s, UTC)
        for variable in self._variables:
            name = variable.quantity.name
            stuck = _lasted_s(fault, variable.press, Disturbance.STUCK) > 0
            value = now[variable.press][name]
            if value == variable.said or (stuck and name == "oil_pressure"):
                continue
            variable.said = value
            kind = _TYPES[variable.quantity.kind]
            await self._server.write_attribute_value(
                variable.node, ua.DataValue(ua.Variant(value, kind), None, moment)
            )

    def _setpoint(self, press: int) -> float:
        [variable] = [
            variable
            for variable in self._variables
            if variable.press == press and variable.quantity.name == _SETPOINT
        ]
        told = self._server.read_attribute_value(variable.node).Value
        variable.said = value = float(told.Value)
        return min(max(value, variable.quantity.low), variable.quantity.high)

    async def _cut_or_mend(self, fault: Fault | None) -> None:
        wanted = fault is None or fault.kind is not Disturbance.LINK_LOSS
        if wanted is self._listens:
            return
        self._listens = wanted
        if wanted:
            await self._server.bserver.start()
        else:
            await self._server.bserver.stop()


def _lasted_s(fault: Fault | None, press: int, kind: Disturbance) -> float:
    if fault is None or fault.press != press or fault.kind is not kind:
        return 0.0
    return max(fault.age_s, 1e-3)


@asynccontextmanager
async def open_line(port: int) -> AsyncIterator[tuple[Line, str]]:
    """Serve the line at that port, 0 for any free one; yield it and its address."""
    logging.getLogger(_LOGGER).setLevel(logging.CRITICAL)
    server = Server(iserver=SmallServer())
    await server.init()
    server.set_endpoint(f"opc.tcp://{HOST}:{port}")
    server.set_server_name("Lineshaft demonstration press line")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(NAMESPACE)
    variables = await _populate(server, index)
    line = Line(server, variables)
    async with server:
        yield line, f"opc.tcp://{HOST}:{server.bserver.port}"


async def _populate(server: Server, index: int) -> list[_Variable]:
    hall = await server.nodes.objects.add_object(index, "PressLine")
    variables: list[_Variable] = []
    for press in PRESSES:
        machine = await hall.add_object(
            ua.NodeId(f"Press{press}", index), f"{index}:Press{press}"
        )
        first = values_at(press, time.time())
        for quantity in QUANTITIES:
            node = await machine.add_variable(
                ua.NodeId(f"Press{press}.{quantity.name}", index),
                f"{index}:{quantity.name}",
                first[quantity.name],
                _TYPES[quantity.kind],
            )
            await _describe(node, press, quantity)
            variables.append(_Variable(node.nodeid, press, quantity))
    return variables


async def _describe(node: Node, press: int, quantity: Quantity) -> None:
    words = f"Press {press}, {quantity.name.replace('_', ' ')}"
    await node.write_attribute(
        ua.AttributeIds.Description, ua.DataValue(ua.LocalizedText(words, "en"))
    )
    if quantity.unit:
        unit = ua.EUInformation(
            NamespaceUri=_UNECE,
            UnitId=int.from_bytes(quantity.code.encode(), "big"),
            DisplayName=ua.LocalizedText(quantity.unit),
            Description=ua.LocalizedText(quantity.unit),
        )
        span = ua.Range(quantity.low, quantity.high)
        await node.add_property(ua.NodeId(), "0:EngineeringUnits", unit)
        await node.add_property(ua.NodeId(), "0:EURange", span)
    if quantity.writable:
        await node.set_writable()
