"""doctor: the usual troubles, found before they are searched for."""

import asyncio
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from lineshaft.cli import screen
from lineshaft.cli.address import Target, look, parse
from lineshaft.cli.plant import Plant, find
from lineshaft.core.bus.server import find_program
from lineshaft.core.errors import ConfigError, LineshaftError, Unreachable
from lineshaft.core.process.ports import holder_of, is_free

OK, WARNING, FAULT = "ok", "warning", "fault"
_EXIT = {OK: 0, WARNING: 1, FAULT: 2}
_LOW_GIB, _EMPTY_GIB = 5.0, 1.0
_FEW_INODES = 0.05
_FEW_FILES = 1024
_CLOCK_S = 2.0
_STEP_S = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what to do about it."""

    check: str
    state: str
    text: str
    do: str = ""


def run(config: Path, data: Path, *, as_json: bool) -> int:
    """Look at everything; return 0, 1 with warnings, 2 with faults."""
    return _tell(list(findings(config, data)), as_json=as_json)


def findings(config: Path, data: Path) -> Iterator[Finding]:
    """Yield what is found, one thing after the other."""
    yield _python()
    yield _program()
    yield from _disk(data)
    yield _files()
    running = _running(data)
    yield from running
    if not config.exists():
        return
    yield _configuration(config, data)
    if len(running) == 1:
        yield from _ports(config, data)


def _python() -> Finding:
    said = f"Python {platform.python_version()} on {platform.system()}"
    if sys.platform != "linux":
        do = "run it on Linux: elsewhere children outlive a parent that is killed"
        return Finding("python", WARNING, said, do)
    return Finding("python", OK, said)


def _program() -> Finding:
    try:
        return Finding("nats-server", OK, find_program())
    except ConfigError as error:
        return Finding("nats-server", FAULT, str(error), "make setup")


def _disk(data: Path) -> Iterator[Finding]:
    place = next(path for path in (data, *data.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free / (1 << 30)
    state = FAULT if free < _EMPTY_GIB else WARNING if free < _LOW_GIB else OK
    do = "" if state == OK else f"free space on the disk of {place}, or move --data"
    yield Finding("disk", state, f"{free:.1f} GiB free at {place}", do)
    try:
        probe = place / ".lineshaft-doctor"
        probe.touch()
        probe.unlink()
    except OSError as error:
        said = f"{place} cannot be written to: {error.strerror}"
        yield Finding(
            "data", FAULT, said, "give this user the directory, or use --data"
        )
    else:
        yield Finding("data", OK, f"{place} can be written to")


def _files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FEW_FILES:
        do = f"raise it: ulimit -n {_FEW_FILES * 4}"
        return Finding("open files", WARNING, f"{soft} at most", do)
    return Finding("open files", OK, f"{soft} at most")


def _running(data: Path) -> list[Finding]:
    try:
        plant = Plant(find(data))
    except Unreachable:
        return [Finding("plant", OK, f"none runs with {data}")]
    try:
        asked = time.time()
        health = plant.get("/health")
    except LineshaftError as error:
        return [Finding("plant", FAULT, str(error), "see what it printed; restart it")]
    told = datetime.fromisoformat(health["time"]).timestamp()
    found = [Finding("plant", _state_of(health["status"]), plant.running.url)]
    if abs(told - asked) > _CLOCK_S:
        said = f"the plant's clock is {told - asked:+.1f} s off ours"
        found.append(Finding("clock", WARNING, said, "set the clock by NTP"))
    else:
        found.append(Finding("clock", OK, "as the plant's"))
    found += [
        Finding(
            service["service"],
            _state_of(service["state"]),
            service["reason"] or "well",
            "" if service["state"] == OK else _advice(service["service"]),
        )
        for service in health["services"]
    ]
    return found


def _state_of(state: str) -> str:
    return {"ok": OK, "degraded": WARNING}.get(state, FAULT)


def _advice(service: str) -> str:
    if service.startswith("collector."):
        return "lineshaft doctor ADDRESS walks to that machine step by step"
    return "see what `lineshaft up` printed"


def _configuration(config: Path, data: Path) -> Finding:
    from lineshaft import settings

    try:
        plant = settings.load(config, data)
    except ConfigError as error:
        said = f"{config} has problems, {len(error.problems)} in all"
        return Finding(
            "configuration", FAULT, said, f"lineshaft check --config {config}"
        )
    points = sum(len(device.points) for device in plant.devices)
    return Finding("configuration", OK, f"{config}: {points:,} points")


def _ports(config: Path, data: Path) -> Iterator[Finding]:
    from lineshaft import settings

    try:
        wanted = settings.load(config, data, drivers=False).settings
    except ConfigError:
        return
    asked = {"web.port": wanted.web.port}
    if wanted.bus.url is None:
        asked |= {
            "bus.port": wanted.bus.port,
            "bus.mqtt_port": wanted.bus.mqtt_port or 0,
        }
    for key, port in asked.items():
        if port and not is_free(port):
            said = f"port {port} is used by {holder_of(port)}"
            yield Finding(key, FAULT, said, f"stop it, or set {key} in {config}")
        elif port:
            yield Finding(key, OK, f"port {port} is free")


async def walk(address: str, *, as_json: bool) -> int:
    """Walk to a device layer by layer; stop at the first that fails."""
    target = parse(address)
    found: list[Finding] = []
    steps: list[tuple[str, Callable[[Target], object], str]] = [
        ("name", _resolve, "is the host name right, and known to this network?"),
        ("TCP", _connect, "is it switched on, and does a firewall let us through?"),
        ("session, browse, read", _look, "is this its protocol, and may we log in?"),
    ]
    for name, step, do in steps:
        began = time.monotonic()
        try:
            async with asyncio.timeout(_STEP_S):
                said = await step(target)  # type: ignore[misc]  # all are coroutines
        except (LineshaftError, OSError, TimeoutError) as error:
            reason = str(error) or f"no answer within {_STEP_S:.0f} s"
            found.append(Finding(name, FAULT, reason, do))
            break
        took = (time.monotonic() - began) * 1000
        found.append(Finding(name, OK, f"{said} ({took:.0f} ms)"))
    return _tell(found, as_json=as_json)


async def _resolve(target: Target) -> str:
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(target.host, target.port)
    return ", ".join(sorted({str(each[4][0]) for each in addresses}))


async def _connect(target: Target) -> str:
    _, writer = await asyncio.open_connection(target.host, target.port)
    writer.close()
    await writer.wait_closed()
    return f"{target.host}:{target.port} takes connections"


async def _look(target: Target) -> str:
    async for found in look(target):
        if found.type:
            return f"{'/'.join(found.path)} = {screen.shown(found.value)}"
    raise Unreachable("it answers, but has nothing that can be read")


def _tell(found: list[Finding], *, as_json: bool) -> int:
    worst = max((each.state for each in found), key=_EXIT.__getitem__, default=OK)
    if as_json:
        screen.write_json([asdict(each) for each in found])
    else:
        rows = [(each.state, each.check, each.text, each.do) for each in found]
        screen.table(("", "what", "found", "do"), rows)
    return _EXIT[worst]
