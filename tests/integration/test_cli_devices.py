"""browse, add, check and doctor, with a simulated gateway in a process of its own."""

import json
import socket
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from lineshaft import settings
from lineshaft.cli.verbs import execute
from support.plant_api import announce, running_plant

SIMULATOR = "lineshaft.network.drivers.modbus.simulator"
COMMENTED = '[plant]\nname = "Osaka"  # the one in the harbour\n'
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    command = [sys.executable, "-m", SIMULATOR, "--port", "0", "--die-with-parent"]
    with Popen(command, stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        yield f"modbus://127.0.0.1:{port}/1"
        process.kill()


@contextmanager
def listener() -> Iterator[int]:
    """Take connections and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


@contextmanager
def closed_port() -> Iterator[int]:
    """Hold a port at which every connection is refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    plant, data = tmp_path / "lineshaft.toml", tmp_path / "data"
    return ["--config", str(plant), "--data", str(data)]


def test_browse_tells_programs_everything_that_was_found(
    gateway: str, capsys: Capture
) -> None:
    assert execute(["browse", f"{gateway}?area=input&first=0&last=3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["address"] for each in found] == [f"1/input:{n}" for n in range(4)]
    assert list(found[0]) == [
        *("address", "path", "type", "value", "quality", "unit"),
        *("description", "writable"),
    ]
    assert found[0]["path"] == ["unit 1", "input", "0"]
    assert (found[0]["type"], found[0]["quality"]) == ("int", "good")
    assert isinstance(found[0]["value"], int)


def test_browse_shows_people_values_and_addresses(
    gateway: str, capsys: Capture
) -> None:
    address = f"{gateway}?area=input&first=0&last=20"
    assert execute(["browse", address, "--select", "*/1?"]) == 0
    shown = capsys.readouterr().out
    assert "1/input:10" in shown
    assert "1/input:9" not in shown


def test_browse_of_nothing_that_matches_fails(gateway: str, capsys: Capture) -> None:
    assert execute(["browse", f"{gateway}?area=input&last=3", "--select", "x"]) == 1
    assert "has nothing readable that matches 'x'" in capsys.readouterr().err


def test_what_is_added_is_right_at_once(
    gateway: str, files: list[str], tmp_path: Path, capsys: Capture
) -> None:
    plant = tmp_path / "lineshaft.toml"
    plant.write_text(COMMENTED, "utf-8")
    asked = ["add", f"{gateway}?area=input&last=9", "--name", "meter", *files]
    assert execute([*asked, "--place", "acme/osaka/energy", "--yes"]) == 0
    assert plant.read_text("utf-8").startswith(COMMENTED)
    assert "+[devices.meter]" in capsys.readouterr().out
    assert execute(["check", "--json", *files]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["devices"], told["points"]) == (True, {"meter": 10}, 10)
    [device] = settings.load(plant, tmp_path / "data").devices
    assert device.points[3].name == "acme/osaka/energy/input_3"
    assert device.points[3].address == "1/input:3"


def test_nothing_is_written_unless_somebody_agrees(
    gateway: str, files: list[str], tmp_path: Path, capsys: Capture
) -> None:
    assert execute(["add", f"{gateway}?area=input&last=3", *files]) == 1
    assert "add --yes where nobody can answer" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_there_is_not_replaced_by_chance(
    gateway: str, files: list[str], tmp_path: Path, capsys: Capture
) -> None:
    def add(last: int, *options: str) -> int:
        address = f"{gateway}?area=input&last={last}"
        return execute(["add", address, "--name", "m", "--yes", *files, *options])

    def points() -> int:
        plant = settings.load(tmp_path / "lineshaft.toml", tmp_path / "data")
        return len(plant.devices[0].points)

    assert add(3) == 0
    assert add(7) == 1
    assert "add --replace" in capsys.readouterr().err
    (tmp_path / "m.csv").unlink()
    assert add(7) == 1, "the table alone is enough to refuse"
    assert "there is a device 'm'" in capsys.readouterr().err
    assert add(7, "--replace") == 0
    assert points() == 8


@pytest.mark.parametrize(
    "options", [["--name", "../m"], ["--name", "a b"], ["--place", "a//b"]]
)
def test_names_that_cannot_be_are_refused_before_anything_is_asked(
    files: list[str], tmp_path: Path, options: list[str], capsys: Capture
) -> None:
    with closed_port() as port:
        address = f"modbus://127.0.0.1:{port}"
        assert execute(["add", address, "--yes", *files, *options]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_said(
    gateway: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "file").touch()
    files = ["--config", str(tmp_path / "file" / "lineshaft.toml")]
    assert execute(["add", f"{gateway}?area=input&last=3", "--yes", *files]) == 1
    told = capsys.readouterr().err
    assert "cannot be written" in told
    assert "Traceback" not in told


def test_check_tells_all_problems_at_once(
    files: list[str], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "lineshaft.toml").write_text(
        '[web]\nprot = 1\n[devices.m]\ndriver = "modbus"\npoints = "m.csv"\n'
        'host = "h"\n[devices.n]\ndriver = "modbsu"\npoints = "m.csv"\n'
    )
    rows = "".join(f"a/p{n},1/input:{n}\n" for n in range(98))
    (tmp_path / "m.csv").write_text(f"name,address\n{rows}b c/d,1/nowhere:0\n")
    assert execute(["check", *files]) == 2
    told = capsys.readouterr().err
    expected = ["'port'?", "'modbus'?", "m.csv:100:1: ", "m.csv:100:2: ", "4 problems"]
    assert [part for part in expected if part not in told] == []
    assert execute(["check", "--json", *files]) == 2
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], len(said["problems"])) == (False, 4)


def test_check_of_a_file_that_is_not_there_says_how_to_make_one(
    files: list[str], capsys: Capture
) -> None:
    assert execute(["check", *files]) == 2
    assert "`lineshaft add ADDRESS`" in capsys.readouterr().err


def findings(capsys: Capture) -> dict[str, dict[str, str]]:
    told = json.loads(capsys.readouterr().out)
    assert all(list(each) == ["check", "state", "text", "do"] for each in told)
    return {each["check"]: each for each in told}


def test_the_doctor_names_who_has_a_port(
    files: list[str], tmp_path: Path, capsys: Capture
) -> None:
    with listener() as port:
        text = f"[web]\nport = {port}\n[bus]\nport = 0\n"
        (tmp_path / "lineshaft.toml").write_text(text)
        assert execute(["doctor", "--json", *files]) == 2
    found = findings(capsys)
    assert found["web.port"]["state"] == "fault"
    assert f"port {port} is used by " in found["web.port"]["text"]
    assert "set web.port in" in found["web.port"]["do"]
    assert "bus.port" not in found, "any free one is always free"
    assert found["configuration"]["state"] == "ok"


def test_the_doctor_makes_do_with_a_directory_that_is_not_there_yet(
    files: list[str], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "lineshaft.toml").write_text("[web]\nport = 0\n[bus]\nport = 0\n")
    code = execute(["doctor", "--json", *files])
    found = findings(capsys)
    assert found["data"] == {
        "check": "data",
        "state": "ok",
        "text": f"{tmp_path} can be written to",
        "do": "",
    }
    worst = {each["state"] for each in found.values()}
    assert code == (2 if "fault" in worst else 1 if "warning" in worst else 0)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("status", "state"), [("degraded", "warning"), ("down", "fault"), ("ok", "ok")]
)
def test_the_doctor_asks_a_plant_that_runs(
    files: list[str], tmp_path: Path, status: str, state: str, capsys: Capture
) -> None:
    with running_plant(tmp_path / "data") as plant:
        plant.status = status
        code = execute(["doctor", "--json", *files])
    found = findings(capsys)
    assert (found["plant"]["state"], found["web"]["state"]) == (state, state)
    assert state != "fault" or code == 2


def test_a_plant_that_does_not_answer_is_a_fault(
    files: list[str], tmp_path: Path, capsys: Capture
) -> None:
    with closed_port() as port:
        announce(tmp_path / "data", f"http://127.0.0.1:{port}")
        assert execute(["doctor", "--json", *files]) == 2
    assert findings(capsys)["plant"]["state"] == "fault"


def test_what_the_doctor_tells_people_says_what_to_do(
    files: list[str], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "lineshaft.toml").write_text("[wbe]\n")
    assert execute(["doctor", *files]) == 2
    [line] = [each for each in capsys.readouterr().out.splitlines() if "fault" in each]
    assert "configuration" in line
    assert "lineshaft check --config" in line


def test_an_added_table_names_what_the_driver_needs(
    gateway: str, files: list[str], tmp_path: Path
) -> None:
    asked = ["add", f"{gateway}?area=input&last=3", "--yes", *files]
    assert execute(asked) == 0
    table = tomllib.loads((tmp_path / "lineshaft.toml").read_text("utf-8"))["devices"]
    assert table["modbus-1"]["driver"] == "modbus"
    assert (tmp_path / table["modbus-1"]["points"]).is_file()
