"""doctor: the usual troubles, found before they are searched for."""

import ctypes
import os
import platform
import resource
import shutil
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from lineshaft.cli import screen
from lineshaft.cli.plant import Plant, find
from lineshaft.core.bus.server import find_program
from lineshaft.core.errors import ConfigError, LineshaftError, Unreachable
from lineshaft.core.process.ports import holder_of, is_free
from lineshaft.web.page import STATIC

OK, WARNING, FAULT = "ok", "warning", "fault"
_EXIT = {OK: 0, WARNING: 1, FAULT: 2}
_LOW_GIB, _EMPTY_GIB = 5.0, 1.0
_FEW_INODES = 0.05
_FEW_FILES = 1024
_CLOCK_S = 2.0
_TIMEX_BYTES, _STA_UNSYNC = 512, 0x40


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what to do about it."""

    check: str
    state: str
    text: str
    do: str = ""


def run(config: Path, data: Path, *, as_json: bool) -> int:
    """Look at everything; return 0, 1 with warnings, 2 with faults."""
    return tell(list(findings(config, data)), as_json=as_json)


def findings(config: Path, data: Path) -> Iterator[Finding]:
    """Yield what is found, one thing after the other."""
    yield _python()
    yield _program()
    yield _page()
    yield from _disk(data)
    yield _files()
    yield _clock()
    running = _running(data)
    yield from running
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


def _page() -> Finding:
    if (STATIC / "index.html").is_file():
        return Finding("page", OK, "is built")
    do = "run `make setup` in a clone of the source; it says why if it cannot"
    return Finding("page", WARNING, "was not built; API and command line work", do)


def _disk(data: Path) -> Iterator[Finding]:
    place = next(path for path in (data, *data.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free / (1 << 30)
    state = FAULT if free < _EMPTY_GIB else WARNING if free < _LOW_GIB else OK
    do = "" if state == OK else f"free space on the disk of {place}, or move --data"
    yield Finding("disk", state, f"{free:.1f} GiB free at {place}", do)
    yield _inodes(place)
    yield _writable(place)


def _inodes(place: Path) -> Finding:
    disk = os.statvfs(place)
    # Some file systems have no fixed number of them, and say 0.
    share = disk.f_favail / disk.f_files if disk.f_files else 1.0
    said = f"room for {share:.0%} of all files that the disk can have"
    if share < _FEW_INODES:
        do = f"delete many small files on the disk of {place}, or move --data"
        return Finding("inodes", WARNING, said, do)
    return Finding("inodes", OK, said)


def _writable(place: Path) -> Finding:
    probe = place / ".lineshaft-doctor"
    try:
        probe.touch()
        off = probe.stat().st_mtime - time.time()
        probe.unlink()
    except OSError as error:
        said = f"{place} cannot be written to: {error.strerror}"
        return Finding("data", FAULT, said, "give it to this user, or use --data")
    if abs(off) > _CLOCK_S:
        said = f"the clock of the file server of {place} is {off:+.1f} s off ours"
        return Finding("data", WARNING, said, "set both clocks by NTP")
    return Finding("data", OK, f"{place} can be written to")


def _files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FEW_FILES:
        do = f"raise it: ulimit -n {_FEW_FILES * 4}"
        return Finding("open files", WARNING, f"{soft} at most", do)
    return Finding("open files", OK, f"{soft} at most")


def _clock() -> Finding:
    """Ask the kernel whether something keeps its clock right: adjtimex(2)."""
    told = ctypes.create_string_buffer(_TIMEX_BYTES)
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None or adjtimex(told) < 0:
        return Finding("clock", WARNING, "this system does not tell if it is right")
    (status,) = struct.unpack_from("i", told, struct.calcsize("i0l4l"))
    if status & _STA_UNSYNC:
        do = "install chrony, or `timedatectl set-ntp true`: readings bear its time"
        return Finding("clock", WARNING, "nothing on this machine keeps it right", do)
    return Finding("clock", OK, "kept right by NTP or PTP")


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
        found.append(Finding("plant's clock", WARNING, said, "set it by NTP"))
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

    if not config.exists():
        do = "`lineshaft add ADDRESS` makes one; `lineshaft demo` needs none"
        return Finding("configuration", OK, f"there is no {config} yet", do)
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
    for key, port in _wanted_ports(config, data).items():
        if port and not is_free(port):
            said = f"port {port} is used by {holder_of(port)}"
            if config.exists():
                yield Finding(key, FAULT, said, f"stop it, or set {key} in {config}")
            else:
                do = "stop it, or choose another: lineshaft demo --port 0"
                yield Finding(key, WARNING, said, do)
        elif port:
            yield Finding(key, OK, f"port {port} is free")


def _wanted_ports(config: Path, data: Path) -> dict[str, int]:
    from lineshaft import settings

    if not config.exists():
        # What the demonstration would take.
        return {"web.port": settings.Settings().web.port}
    try:
        wanted = settings.load(config, data, drivers=False).settings
    except ConfigError:
        return {}
    web = {"web.port": wanted.web.port}
    if wanted.bus.url is not None:
        return web
    mqtt_port = wanted.bus.mqtt_port or 0
    return web | {"bus.port": wanted.bus.port, "bus.mqtt_port": mqtt_port}


def tell(found: list[Finding], *, as_json: bool) -> int:
    """Print what was found; return 0, 1 with warnings, 2 with faults."""
    worst = max((each.state for each in found), key=_EXIT.__getitem__, default=OK)
    if as_json:
        screen.write_json([asdict(each) for each in found])
    else:
        rows = [(each.state, each.check, each.text, each.do) for each in found]
        screen.table(("", "what", "found", "do"), rows)
    return _EXIT[worst]
