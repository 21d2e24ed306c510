"""Which plant runs with a data directory: one at most, and where it is found."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from lineshaft.core.errors import ConfigError
from lineshaft.settings import Plant

FILE = "running.json"


@contextlib.contextmanager
def hold(data: Path) -> Iterator[None]:
    """Keep the data directory to ourselves; `ConfigError` if another plant has it.

    The kernel lets go of it when we end, however we end.
    """
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"a plant runs with the data directory {data} already; stop it, or "
                "choose another one with --data"
            ) from error
        yield


@contextlib.contextmanager
def announce(
    plant: Plant, url: str, bus_url: str, home: Path | None = None
) -> Iterator[None]:
    """Say in a file where the running plant is found, as long as it runs."""
    file = (home or plant.data) / FILE
    said = {
        "url": url,
        "bus": bus_url,
        "pid": os.getpid(),
        "demo": plant.settings.plant.demo,
        "plant": plant.name,
        "roots": str((plant.data / "authority" / "issuing.pem").resolve())
        if plant.settings.web.tls and plant.settings.web.certificate is None
        else "",
    }
    fresh = file.with_suffix(".new")
    # It holds the password of the bus.
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(said), "utf-8")
    fresh.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def bus_of(data: Path) -> str | None:
    """Return the address of the bus of the plant that runs there, if one says so."""
    try:
        said = json.loads((data / FILE).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return str(said["bus"]) if isinstance(said, dict) and "bus" in said else None
