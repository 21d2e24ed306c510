"""What the doctor finds on this machine while no plant runs."""

import json
from pathlib import Path

import pytest

from lineshaft.cli.machines.doctor import Finding, findings
from lineshaft.cli.verbs import execute

STATES = {"ok": 0, "warning": 1, "fault": 2}


def look(config: Path, data: Path) -> dict[str, Finding]:
    return {each.check: each for each in findings(config, data)}


def write(config: Path, text: str) -> None:
    config.write_text(text, "utf-8")


def test_every_usual_trouble_is_looked_for(tmp_path: Path) -> None:
    found = look(tmp_path / "lineshaft.toml", tmp_path / "data")
    expected = "python nats-server page disk inodes data clock plant configuration"
    assert {*expected.split(), "open files", "web.port"} == set(found)
    assert {each.state for each in found.values()} <= set(STATES)


def test_what_is_not_well_comes_with_something_to_do(tmp_path: Path) -> None:
    config = tmp_path / "lineshaft.toml"
    write(config, "[plant\n")
    found = look(config, tmp_path / "data")
    assert found["configuration"].state == "fault"
    assert [each for each in found.values() if each.state != "ok" and not each.do] == []


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    look(tmp_path / "lineshaft.toml", tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_data_that_cannot_be_written_are_a_fault(tmp_path: Path) -> None:
    blocked = tmp_path / "data"
    blocked.write_text("a file where the directory should be")
    found = look(tmp_path / "lineshaft.toml", blocked)["data"]
    assert found.state == "fault"
    assert f"{blocked} cannot be written to" in found.text


def test_a_wrong_configuration_leads_to_the_check(tmp_path: Path) -> None:
    config = tmp_path / "lineshaft.toml"
    write(config, '[web]\nprot = 1\n[plant]\nnam = "x"\n')
    found = look(config, tmp_path / "data")["configuration"]
    assert found.state == "fault"
    assert "2 in all" in found.text
    assert found.do == f"lineshaft check --config {config}"


def test_a_right_configuration_is_told_by_its_points(tmp_path: Path) -> None:
    config = tmp_path / "lineshaft.toml"
    write(config, "[bus]\nport = 0\n[web]\nport = 0\n")
    found = look(config, tmp_path / "data")
    assert found["configuration"] == Finding(
        "configuration", "ok", f"{config}: 0 points"
    )
    assert "web.port" not in found, "port 0 is never taken"


def test_the_exit_code_is_that_of_the_worst(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "lineshaft.toml"
    where = ["--config", str(config), "--data", str(tmp_path / "data")]
    write(config, "[web]\nport = 0\n[bus]\nport = 0\n")
    code = execute(["doctor", "--json", *where])
    told = json.loads(capsys.readouterr().out)
    assert code == max(STATES[each["state"]] for each in told)
    assert all(list(each) == ["check", "state", "text", "do"] for each in told)
    write(config, "[web\n")
    assert execute(["doctor", *where]) == 2
    assert "lineshaft check" in capsys.readouterr().out


@pytest.mark.parametrize("address", ["", "plc7", "http://h:80", "modbus://h/one"])
def test_a_walk_to_nowhere_is_a_wrong_command(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["doctor", address]) == 2
    assert "Traceback" not in capsys.readouterr().err
