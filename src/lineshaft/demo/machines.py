"""The machines of the demonstration: which there are, and how they are reached."""

import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lineshaft.core.point import Point
from lineshaft.core.process.children import Program
from lineshaft.core.process.ports import is_free
from lineshaft.network.drivers.modbus.meters import point_list as meter_points
from lineshaft.network.drivers.mqtt.sparkplug.skid import point_list as skid_points
from lineshaft.network.drivers.opcua.simulator.press import point_list as press_points
from lineshaft.settings.points import write_points

PLACE = "demo/osaka"
FAULT_EVERY_S = 90
_USUAL_PORTS = {"press-line": 4840, "meters": 5020, "mqtt": 1883, "bus": 4222}


@dataclass(frozen=True, slots=True)
class Machine:
    """A simulated machine and the device that reads it."""

    device: str
    module: str
    points: tuple[Point, ...]
    table: str
    """The rest of its table in lineshaft.toml, with `{port}` where the port belongs."""


MACHINES = (
    Machine(
        "press-line",
        "lineshaft.network.drivers.opcua.simulator",
        tuple(press_points(f"{PLACE}/forge/line1")),
        'driver = "opcua"\nurl = "opc.tcp://127.0.0.1:{port}"\n',
    ),
    Machine(
        "meters",
        "lineshaft.network.drivers.modbus.simulator",
        tuple(meter_points(f"{PLACE}/energy")),
        'driver = "modbus"\nhost = "127.0.0.1"\nport = {port}\ntimeout_s = 2.0\n',
    ),
    Machine(
        "pump-skid",
        "lineshaft.network.drivers.mqtt.simulator",
        tuple(skid_points(f"{PLACE}/water/skid1")),
        'driver = "mqtt"\nhost = "127.0.0.1"\nport = {port}\n'
        '[devices.pump-skid.sparkplug]\nhost_id = "lineshaft-demo"\n',
    ),
)
_COMPUTED = f"""\
name;expression;type;unit;description
{PLACE}/energy/total_power;{{./meter1/active_power}} + {{./meter2/active_power}} + \
{{./meter3/active_power}};float;kW;All meters together
{PLACE}/energy/mean_power;mean({{total_power}}, 900);float;kW;Of the last 15 minutes
{PLACE}/water/skid1/total_flow;{{./pump1/flow}} + {{./pump2/flow}};float;m³/h;Both pumps
"""
_HEAD = """\
# The demonstration plant. `lineshaft demo` writes this file anew at each start, with
# ports that are free; `lineshaft demo --remove` deletes it together with its history.
[plant]
name = "DEMO plant"
demo = true

[bus]
port = {bus}
mqtt_port = {mqtt}

[web]
port = {web}

[computed]
points = "computed.csv"
"""


def write_plant(home: Path, web_port: int) -> tuple[Path, tuple[Program, ...]]:
    """Write lineshaft.toml and the point lists; return it and the machines to run."""
    home.mkdir(parents=True, exist_ok=True)
    ports = _free_ports()
    (home / "computed.csv").write_text(_COMPUTED, "utf-8")
    text = _HEAD.format(bus=ports["bus"], mqtt=ports["mqtt"], web=web_port)
    programs = []
    for machine in MACHINES:
        port = ports.get(machine.device, ports["mqtt"])
        write_points(home / f"{machine.device}.csv", list(machine.points))
        text += f'\n[devices.{machine.device}]\npoints = "{machine.device}.csv"\n'
        text += machine.table.format(port=port)
        arguments = _arguments(machine.module, port)
        # The machines are there for the plant's sake: it starts first.
        programs.append(Program(machine.device, arguments, nice=10))
    file = home / "lineshaft.toml"
    file.write_text(text, "utf-8")
    return file, tuple(programs)


def _arguments(module: str, port: int) -> Sequence[str]:
    faults = ["--fault-every", str(FAULT_EVERY_S)]
    return [sys.executable, "-m", module, "--port", str(port), *faults]


def _free_ports() -> dict[str, int]:
    """Return the usual port for each server, or a free one where that is taken."""
    chosen: dict[str, int] = {}
    probes: list[socket.socket] = []
    for name, usual in _USUAL_PORTS.items():
        if is_free(usual):
            chosen[name] = usual
            continue
        probe = socket.socket()
        probe.bind(("127.0.0.1", 0))
        # Kept open until all are chosen, so that no two are the same.
        probes.append(probe)
        chosen[name] = probe.getsockname()[1]
    for probe in probes:
        probe.close()
    return chosen
