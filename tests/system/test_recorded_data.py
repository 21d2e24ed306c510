"""Real process data from end to end, every value equal.

CSV, OPC UA server, collector, bus, historian, API: the pump test bed of SKAB.
"""

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from support.plant import RunningPlant, started

PLACE = "acme/osaka/water/skid1"
SERVER = Path(__file__).parents[1] / "support" / "recorded_server.py"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(file: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    server = subprocess.Popen(
        [sys.executable, str(SERVER), str(file), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdout
        assert server.stdout.readline() == "ready\n"
        try:
            yield server
        finally:
            server.kill()


def write_plant(folder: Path, columns: list[str], port: int) -> Path:
    rows = [
        f"{PLACE}/{name.replace(' ', '_')},nsu=urn:test:recorded;s={name},float"
        for name in columns
    ]
    (folder / "skid.csv").write_text("name,address,type\n" + "\n".join(rows) + "\n")
    file = folder / "lineshaft.toml"
    file.write_text(
        "[bus]\nport = 0\n[devices.skid]\n"
        'driver = "opcua"\npoints = "skid.csv"\npublishing_interval_s = 0.1\n'
        f'url = "opc.tcp://127.0.0.1:{port}/"\nqueue_size = 1000\n'
    )
    return file


def changes(rows: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """What a server reports by exception: a value that is not the one before."""
    return rows[:1] + [now for then, now in pairwise(rows) if now[1] != then[1]]


def recorded(file: Path, column: str) -> list[tuple[str, float]]:
    with file.open() as source:
        return [
            (
                datetime.fromisoformat(row["datetime"])
                .replace(tzinfo=UTC)
                .strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                float(row[column]),
            )
            for row in csv.DictReader(source, delimiter=";")
        ]


def kept(plant: RunningPlant, name: str) -> list[tuple[str, float]]:
    past = plant.get(
        "/history", name=name, **{"from": "2020-01-01", "to": "2021-01-01"}
    )
    [series] = past["series"]
    assert set(series["quality"]) <= {"good"}
    return list(zip(series["time"], series["value"], strict=True))


def until_kept(plant: RunningPlant, name: str, wanted: list[tuple[str, float]]) -> None:
    plant.until(lambda: changes(kept(plant, name)) == wanted, f"{name} is in the past")


@pytest.mark.corpus
@pytest.mark.timeout(240)
def test_every_value_of_a_real_test_bed_arrives_in_the_history(tmp_path: Path) -> None:
    file = Path(os.environ["LINESHAFT_CORPUS"]) / "process" / "skab" / "valve1_0.csv"
    with file.open() as source:
        columns = next(csv.reader(source, delimiter=";"))[1:]
    names = {column: f"{PLACE}/{column.replace(' ', '_')}" for column in columns}
    port = free_port()
    config = write_plant(tmp_path, columns, port)
    arguments = ["up", "--config", str(config)]
    with serving(file, port) as server, started(arguments, tmp_path / "data") as plant:
        assert server.stdin
        assert server.stdout
        plant.until(
            lambda: all(plant.value(n)["quality"] == "good" for n in names.values()),
            "every point has its first value",
        )
        server.stdin.write("go\n")
        server.stdin.flush()
        assert server.stdout.readline() == "done\n"
        wanted = {column: changes(recorded(file, column)) for column in columns}
        for column, name in names.items():
            until_kept(plant, name, wanted[column])
    # The same from the table alone, after everything was stopped and started again.
    with started(arguments, tmp_path / "data") as plant:
        for column, name in names.items():
            until_kept(plant, name, wanted[column])
