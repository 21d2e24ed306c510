"""The doctor: who has a port, whose clock is off, which layer of a device fails."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lineshaft.cli.machines.doctor import Finding, findings
from lineshaft.cli.verbs import execute
from support.plant_api import running_plant

HOST = "127.0.0.1"
SIMULATOR = "lineshaft.network.drivers.modbus.simulator"
Walk = list[tuple[str, str]]


def look(config: Path, data: Path) -> dict[str, Finding]:
    return {each.check: each for each in findings(config, data)}


def walk(address: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, Walk, str]:
    """Return the exit code, each layer with its state, and the last thing said."""
    code = execute(["doctor", address, "--json"])
    told = capsys.readouterr()
    assert not told.err
    found = json.loads(told.out)
    return code, [(each["check"], each["state"]) for each in found], found[-1]["text"]


@contextmanager
def meters() -> Iterator[int]:
    """Run the demonstration's energy meters; yield their port."""
    command = [sys.executable, "-m", SIMULATOR, "--port", "0", "--die-with-parent"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["port"]
        finally:
            process.kill()


@contextmanager
def listener() -> Iterator[int]:
    """Hold a port on which nobody ever answers."""
    with socket.create_server((HOST, 0)) as held:
        yield held.getsockname()[1]


def test_a_port_that_is_taken_is_told_with_who_has_it(tmp_path: Path) -> None:
    config = tmp_path / "lineshaft.toml"
    with listener() as port:
        config.write_text(f"[web]\nport = {port}\n[bus]\nport = 0\n")
        found = look(config, tmp_path / "data")["web.port"]
        assert found.state == "fault"
        assert re.match(rf"port {port} is used by .*\(pid {os.getpid()}, ", found.text)
        assert f"set web.port in {config}" in found.do
    assert look(config, tmp_path / "data")["web.port"].state == "ok"


def test_a_plant_whose_clock_is_another_is_warned_of(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_plant(data):  # it says the same time for ever
        found = look(tmp_path / "lineshaft.toml", data)["plant's clock"]
    assert found.state == "warning"
    assert re.search(r"[+-]\d+\.\d s off ours", found.text)


def test_a_walk_stops_where_a_gateway_has_no_such_unit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with meters() as port:
        code, layers, said = walk(f"modbus://{HOST}:{port}/9?area=input", capsys)
    assert code == 2
    assert layers[-1] == ("browse", "fault")
    assert "unit 9" in said


@pytest.mark.parametrize(
    ("scheme", "layer"),
    [("opc.tcp", "security"), ("mqtt", "session"), ("mqtts", "TLS")],
)
def test_a_walk_stops_where_the_other_side_speaks_something_else(
    scheme: str, layer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with listener() as port:
        code, layers, said = walk(f"{scheme}://{HOST}:{port}", capsys)
    assert (code, layers[-1]) == (2, (layer, "fault"))
    assert str(port) in said


def test_a_walk_closes_what_it_opened() -> None:
    with meters() as port:
        address = f"modbus://{HOST}:{port}/1?area=input"
        command = [sys.executable, "-X", "dev", "-m", "lineshaft", "doctor", address]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=100, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")
