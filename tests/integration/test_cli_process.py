"""The command line as a process, as shells and scripts see it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.plant_api import NAMES, running_plant

WITHIN_S = 60
SCRIPTS = Path(sys.executable).parent
ENVIRONMENT = os.environ | {"PATH": f"{SCRIPTS}:{os.environ['PATH']}"}


def lineshaft(
    *arguments: str, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPTS / "lineshaft", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def test_it_says_its_version() -> None:
    done = lineshaft("--version")
    assert done.stdout == "lineshaft 0.1.0\n"
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["read", "--help"], 0),
        (["doctor", "modbus://nowhere.invalid"], 2),
        (["read"], 1),
        (["check"], 2),
        (["add", "ftp://host"], 2),
        (["doctor", "somewhere"], 2),
        (["completion", "tcsh"], 2),
        (["history"], 2),
        (["import", "none.csv"], 1),
    ],
)
def test_exit_codes_tell_done_failed_and_wrong(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    done = subprocess.run(
        [SCRIPTS / "lineshaft", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr or done.stdout


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path: Path) -> None:
    out, into = os.pipe()
    os.close(out)
    try:
        done = lineshaft("completion", "bash", stdout=into)
        shown = lineshaft("doctor", "--data", str(tmp_path), stdout=into)
    finally:
        os.close(into)
    for each in (done, shown):
        assert (each.returncode, each.stderr) == (0, "")


def test_an_error_is_json_where_json_was_asked_for(tmp_path: Path) -> None:
    done = lineshaft("read", "--json", "--data", str(tmp_path))
    assert done.returncode == 1
    error = json.loads(done.stderr)["error"]
    assert error["kind"] == "Unreachable"
    assert "no plant runs" in error["problems"][0]
    assert done.stdout == ""


COMPLETE = """
eval "$(lineshaft completion bash)"
COMP_WORDS=(lineshaft read acme/osaka/press/s); COMP_CWORD=2
_lineshaft
echo "${COMPREPLY[@]}"
"""


def test_bash_completes_the_names_of_a_plant_that_runs(tmp_path: Path) -> None:
    with running_plant(tmp_path):
        done = subprocess.run(
            ["bash", "--norc", "-c", COMPLETE],
            env=ENVIRONMENT | {"LINESHAFT_DATA": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=True,
        )
    assert done.stdout.split() == [NAMES[2]]
