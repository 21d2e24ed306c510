"""The whole system on one page: what is opened, then what runs.

`up` starts a plant: the bus, then each room in a process of its own, watched and
started again. The `run_` functions are those rooms; they meet on the bus only. Each
imports what it is made of when it runs, since a process that is one room should
neither wait for the others' libraries nor keep them in memory.
"""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from lineshaft import settings
from lineshaft.core.bus.accounts import PLANT
from lineshaft.core.bus.nats import NatsBus, open_bus, without_password
from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.bus.watch import BusWatch
from lineshaft.core.errors import ConfigError, Unreachable
from lineshaft.core.errors.codes import Code
from lineshaft.core.health import Health
from lineshaft.core.message import read_json
from lineshaft.core.name import did_you_mean
from lineshaft.core.process.children import Keeper, Program
from lineshaft.core.process.memory import give_back
from lineshaft.core.process.ports import free_port
from lineshaft.core.process.pulse import Pulse, Roll
from lineshaft.core.process.tasks import bare
from lineshaft.core.process.tasks import beside as beside_us
from lineshaft.settings import Plant
from lineshaft.settings.reloading import Reloading
from lineshaft.settings.rights import accept_first, give_rights, set_up_link, sign_on_of
from lineshaft.settings.running import announce, bus_of, hold
from lineshaft.settings.secure import CertificateWatch, secure_mqtt, secure_web

if TYPE_CHECKING:
    from lineshaft.core.bus.trail import Trail
    from lineshaft.web.service import Door

log = logging.getLogger(__name__)

Report = Callable[[str, float], None]
"""Told each step of the start, and the seconds since the start."""
READY_WITHIN_S = 60.0


class Service(Protocol):
    """Anything that works until it is cancelled."""

    async def run(self) -> None:
        """Work until cancelled."""


async def run(services: Iterable[Service]) -> None:
    """Run every service; when one breaks, stop them all and say why."""
    with bare():
        async with asyncio.TaskGroup() as group:
            for service in services:
                group.create_task(service.run(), name=type(service).__name__)


async def run_collector(plant: Plant, bus_url: str) -> None:
    """Connect the machines; it works, onto its own disk, while the bus is away."""
    from lineshaft.network.fleet import Fleet
    from lineshaft.network.outbox import open_outbox

    most_bytes = int(plant.settings.outbox.most_mib * (1 << 20))
    async with (
        open_bus(bus_url, most_bytes=_stream_bytes(plant), patience_s=0) as bus,
        open_outbox(bus, plant.data / "outbox" / "outbox.sqlite", most_bytes) as outbox,
    ):
        fleet = Fleet(
            plant.devices,
            outbox,
            bus,
            lambda: settings.load(plant.file, plant.data).devices,
        )
        await run([outbox, fleet, Pulse("collector", bus)])


async def run_historian(plant: Plant, bus_url: str) -> None:
    """Keep every reading and answer questions about the past."""
    from lineshaft.platform.historian.service import open_historian

    wanted = plant.settings.historian
    async with (
        open_bus(bus_url, most_bytes=_stream_bytes(plant)) as bus,
        open_historian(plant.data / "history", wanted, bus) as historian,
    ):
        await run([historian, Pulse("historian", bus)])


async def run_web(plant: Plant, bus_url: str) -> None:
    """Let people and programs look in."""
    from lineshaft.core.bus.trail import Trail
    from lineshaft.platform.historian.asking import HistorianClient
    from lineshaft.security.data.telling import Telling, gate_of
    from lineshaft.web.service import Served, Web

    def served(plant: Plant) -> Served:
        devices = plant.devices
        services = ["audit", "bus", "historian", "outbox", "web"]
        services += plant.settings.northbound.services
        services += [] if plant.settings.identity.port is None else ["identity"]
        services += [f"collector.{device.name}" for device in devices]
        services += ["collector.computed"] if plant.settings.computed.points else []
        points = list(plant.points())
        gate = gate_of(plant.settings.data, telling.decided("export"))
        web, names = plant.settings.web, frozenset(plant.settings.identity.names)
        return Served(
            plant.name,
            plant.settings.plant.demo,
            points,
            services,
            names | {*web.names},
            secure_web(plant) if web.tls else None,
            gate,
        )

    def read() -> Served:
        return served(settings.load(plant.file, plant.data, drivers=False))

    wanted = plant.settings.web
    async with open_bus(bus_url, most_bytes=_stream_bytes(plant)) as bus:
        trail = Trail(bus, plant.data / "people" / "audit.jsonl")
        telling = Telling(trail.tell)
        with _open_door(plant, trail) as door:
            web = Web(served(plant), door, wanted, bus, HistorianClient(bus), read)
            works: list[Service] = [web, telling, BusWatch(bus), Pulse("web", bus)]
            await run([*works, *([CertificateWatch(plant)] if wanted.tls else [])])


@contextlib.contextmanager
def _open_door(plant: Plant, trail: "Trail") -> Iterator["Door"]:
    """Open what the web room asks who comes in, and what they may."""
    from lineshaft.core.process.peer import open_peers
    from lineshaft.security.access.approvals import open_requests
    from lineshaft.security.access.enforced import Enforced
    from lineshaft.security.people.login import People
    from lineshaft.security.people.store import open_store
    from lineshaft.settings.policy import accepted
    from lineshaft.web.service import Door

    home, wanted = plant.data / "people", plant.settings.people
    with (
        open_store(home / "people.sqlite") as store,
        open_requests(home / "approvals.sqlite") as requests,
        open_peers() as peers,
    ):
        yield Door(
            People(store, wanted, plant.name, trail.tell, sign_on_of(plant)),
            Enforced(partial(accepted, plant.file, plant.data)),
            peers,
            requests,
            trail,
            partial(give_rights, plant),
        )


async def run_audit(plant: Plant, bus_url: str) -> None:
    """Keep who did what."""
    from lineshaft.core.process.http import post
    from lineshaft.security.audit.log import open_log
    from lineshaft.security.audit.service import AuditRoom
    from lineshaft.security.audit.witness import open_witness

    wanted, home = plant.settings.audit, plant.data / "audit"
    origin = wanted.origin or f"lineshaft/{quote(plant.name)}"
    async with open_bus(bus_url, most_bytes=_stream_bytes(plant)) as bus:
        with open_log(home, origin) as reopen:
            witness = open_witness(home / "witness", origin, wanted.witness_for)
            room = AuditRoom(home, wanted, bus, reopen, post, witness)
            await run([room, Pulse("audit", bus)])


async def run_identity(plant: Plant, bus_url: str) -> None:
    """Give machines their identities."""
    from lineshaft.core.bus.trail import Trail
    from lineshaft.security.identity.est import Enrolment
    from lineshaft.security.identity.service import IdentityRoom
    from lineshaft.settings.rights import open_authority

    wanted, home = plant.settings.identity, plant.data / "authority"
    with open_authority(plant) as authority:
        async with open_bus(bus_url, most_bytes=_stream_bytes(plant)) as bus:
            trail = Trail(bus, home / "audit.jsonl")
            enrolment = Enrolment(authority, wanted, trail.tell)
            room = IdentityRoom(home, authority, enrolment, bus, wanted)
            await run([room, trail, Pulse("identity", bus)])


async def run_northbound(plant: Plant, bus_url: str) -> None:
    """Let SCADA and MES read and write the namespace."""
    from lineshaft.core.bus.trail import Trail
    from lineshaft.network.northbound.mirror import Served
    from lineshaft.network.northbound.service import Folders, open_outputs
    from lineshaft.platform.historian.asking import HistorianClient
    from lineshaft.security.data.telling import Telling, passing

    wanted = plant.settings.northbound
    folders = Folders(plant.file.parent, plant.data)
    points = [Served(point, device) for point, device, _ in plant.points()]
    async with open_bus(bus_url, most_bytes=_stream_bytes(plant)) as bus:
        trail = Trail(bus, plant.data / "northbound" / "audit.jsonl")
        telling = Telling(trail.tell)
        names = [each.point.name for each in points]
        passed = passing(plant.settings.data, names, telling.decided("northbound"))
        served = [each for each in points if each.point.name in passed]
        outputs = open_outputs(wanted, folders, served, bus, HistorianClient(bus))
        await run([*outputs, telling, trail, Pulse("northbound", bus)])


async def run_computed(plant: Plant, bus_url: str) -> None:
    """Compute points from other points."""
    from lineshaft.platform.computed.plan import formulas
    from lineshaft.platform.computed.service import Computing, Plan
    from lineshaft.platform.historian.asking import HistorianClient

    devices = {p.name: device.name for device in plant.devices for p in device.points}
    kinds = {point.name: point.type for point, _, _ in plant.points()}
    made = formulas(plant.computed, kinds)
    needed = {name for formula in made for name in formula.program.inputs}
    inputs = {name: device for name, device in devices.items() if name in needed}
    plan = Plan(made, inputs, plant.settings.computed.heartbeat_s)
    file = plant.data / "computed" / "state.msgpack"
    async with open_bus(bus_url, most_bytes=_stream_bytes(plant)) as bus:
        computing = Computing(plan, file, bus, HistorianClient(bus))
        await run([computing, Pulse("computed", bus)])


ROOMS: dict[str, Callable[[Plant, str], Coroutine[None, None, None]]] = {
    "historian": run_historian,
    "audit": run_audit,
    "identity": run_identity,
    "collector": run_collector,
    "computed": run_computed,
    "web": run_web,
    "northbound": run_northbound,
}
"""In the order in which they are started."""


def rooms_of(plant: Plant) -> list[str]:
    """Return the rooms that a plant needs."""
    idle = set() if plant.settings.northbound.is_wanted else {"northbound"}
    idle |= set() if plant.settings.computed.points else {"computed"}
    idle |= {"identity"} if plant.settings.identity.port is None else set()
    return [room for room in ROOMS if room not in idle]


async def run_room(room: str, file: Path, data: Path) -> None:
    """Run one room in this process, on the bus that the settings name.

    `ConfigError` holds all that is wrong with the settings; only the collector loads
    drivers, so only it looks at what belongs to them.
    """
    if room not in ROOMS:
        raise ConfigError(
            f"there is no room {room!r}; rooms are {', '.join(ROOMS)}"
            + did_you_mean(room, list(ROOMS))
        )
    plant = settings.load(file, data, drivers=room == "collector")
    give_back()
    bus = plant.settings.bus
    await ROOMS[room](plant, bus.url or bus_of(data) or Listeners(bus.port).url)


@dataclass(frozen=True, slots=True)
class Beside:
    """What else runs with a plant, such as the machines of a demonstration."""

    programs: Sequence[Program] = ()
    """Kept running like the rooms."""
    once: Callable[[NatsBus], Coroutine[None, None, None]] | None = None
    """Done once when the plant runs."""
    found_at: Path | None = None
    """Where `running.json` is written; None: in the plant's data directory."""
    watch: bool = False
    """Whether a change of the configuration's files is taken in by itself."""


async def up(plant: Plant, report: Report, beside: Beside = Beside()) -> None:
    """Start the plant and keep it running until cancelled; then stop all of it.

    `ConfigError` when a port is taken, or a plant runs with these data already.
    """
    began = time.monotonic()

    def done(step: str) -> None:
        report(step, time.monotonic() - began)

    async with AsyncExitStack() as stack:
        stack.enter_context(hold(plant.data))
        done(f"data directory {plant.data}")
        rolls: list[Roll] = []
        listeners = await stack.enter_async_context(_bus(plant, rolls))
        bus_url = listeners.url_of(PLANT)
        done(f"message bus {without_password(bus_url)}")
        bus = await stack.enter_async_context(
            open_bus(bus_url, most_bytes=_stream_bytes(plant))
        )
        rolls.append(Roll(bus, len(rooms_of(plant)) + len(beside.programs)))
        await stack.enter_async_context(beside_us(rolls[0].run()))

        def ended(name: str, code: int) -> None:
            rolls[0].note(name, code)
            _complain(name, code)

        # What is started last is stopped first: when the collector says that it
        # stops, the historian is still there to write it down.
        accept_first(plant)
        machines = [Keeper(program, ended) for program in beside.programs]
        rooms = _keepers(plant, listeners, ended)
        for keepers in (machines, *([keeper] for keeper in rooms.values())):
            await stack.enter_async_context(beside_us(run(keepers)))
        reloads = _reloads(plant, rooms, bus, watch=beside.watch)
        await stack.enter_async_context(reloads)
        page = await _page(bus)
        stack.enter_context(announce(plant, page, bus_url, beside.found_at))
        done(f"page {page}")
        await _welcome(plant, page, bus, done)
        if beside.once is not None:
            await beside.once(bus)
        await asyncio.Event().wait()


async def _welcome(
    plant: Plant, page: str, bus: NatsBus, done: Callable[[str], None]
) -> None:
    if link := set_up_link(plant, page):
        done(f"to make the first account, once, within a day: {link}")
    await anext(bus.overhear("readings.>"))
    done("first live value")


@contextlib.asynccontextmanager
async def _reloads(
    plant: Plant, rooms: Mapping[str, Keeper], bus: NatsBus, *, watch: bool
) -> AsyncIterator[None]:
    """Take in a changed configuration while the block is open."""
    reloading = Reloading(plant, partial(_read, plant), rooms, bus, bus)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reloading.ask)
    works = [reloading.run(), *([reloading.watch()] if watch else [])]
    try:
        async with beside_us(*works):
            yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _read(plant: Plant) -> Plant:
    return settings.load(plant.file, plant.data, drivers=False)


class Reached(Protocol):
    """Where the bus is, for each room as its own user."""

    def url_of(self, user: str) -> str:
        """Return the address for the user of a room."""


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A bus that others run; they say who may what there."""

    url: str

    def url_of(self, _: str) -> str:
        return self.url


def _keepers(
    plant: Plant, reached: Reached, ended: Callable[[str, int], None]
) -> dict[str, Keeper]:
    """Return who keeps the rooms running, each on the bus as its own user."""
    settled = _environment(plant)
    return {
        room: Keeper(
            _room(room, plant, settled | {"LINESHAFT_BUS__URL": reached.url_of(room)}),
            ended,
        )
        for room in rooms_of(plant)
    }


def _environment(plant: Plant) -> dict[str, str]:
    """Return what is settled once, so that a room started again finds it the same."""
    web = plant.settings.web
    port = web.port or free_port(web.host)
    return {"LINESHAFT_WEB__PORT": str(port)}


def _room(room: str, plant: Plant, environment: dict[str, str]) -> Program:
    arguments = [sys.executable, "-m", "lineshaft", "run", room]
    arguments += ["--config", str(plant.file), "--data", str(plant.data)]
    return Program(room, arguments, environment)


def _complain(name: str, code: int) -> None:
    said = {"code": Code.STARTED_AGAIN, "program": name}
    log.error("%s ended with code %d; it is started again", name, code, extra=said)


@contextlib.asynccontextmanager
async def _bus(plant: Plant, rolls: Sequence[Roll]) -> AsyncIterator[Reached]:
    """Run the embedded server, unless there is a cluster; `rolls` hear of restarts."""

    def restarted(why: str) -> None:
        said = {"code": Code.STARTED_AGAIN, "program": "nats-server"}
        log.error(why, extra=said)
        for roll in rolls:
            roll.tell("nats-server", why)

    bus = plant.settings.bus
    if bus.url:
        yield _Cluster(bus.url)
        return
    secured = secure_mqtt(plant) if bus.mqtt_tls else None
    wanted = Listeners(bus.port, bus.mqtt_port, secured=secured)
    async with serve(
        plant.data / "bus",
        wanted,
        # Events, and what machines keep on the MQTT side, have room beside readings.
        most_bytes=_stream_bytes(plant) + (1 << 30),
        on_restart=restarted,
    ) as listeners:
        yield listeners


async def _page(bus: NatsBus) -> str:
    """Wait until the page is served; return its address."""
    async with asyncio.timeout(READY_WITHIN_S):
        async for _, data in bus.overhear("status.web"):
            url = read_json(data, Health, "a sign of life").figures.get("url")
            if url:
                return str(url)
    raise Unreachable("the web room does not start; see above")


def _stream_bytes(plant: Plant) -> int:
    return int(plant.settings.bus.most_gib * (1 << 30))
