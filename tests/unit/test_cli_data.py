"""Files are sealed, opened and ended at the command line, and each deed is told."""

import json
from pathlib import Path

import pytest

from lineshaft.cli.files.sealing import Parts, common_place, seal_parts
from lineshaft.cli.files.telling import WAITING
from lineshaft.cli.verbs import execute
from lineshaft.core.bus.audit import AuditRecord, decode_audit

CONFIG = """\
[devices.m]
driver = "modbus"
host = "127.0.0.1"
points = "m.csv"
"""
LABELS = """
[data]
[[data.label]]
on = ["acme"]
class = "production"
grade = "important"
"""
APPROVAL = """
[[data.approval]]
id = "contract 7"
by = "head of data"
stage = "destroy"
on = ["acme/oven"]
until = 2099-01-01T00:00:00Z
"""
RECIPE = "name,time,value\nacme/oven/recipe,2026-01-31T08:00:00Z,7\n"


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "m.csv").write_text("name,address\nacme/oven/recipe,holding:0\n")
    (tmp_path / "lineshaft.toml").write_text(CONFIG)
    (tmp_path / "recipe.csv").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def waiting(data: Path) -> list[AuditRecord]:
    lines = (data / WAITING).read_bytes().splitlines()
    return [decode_audit(line) for line in lines]


def kinds(home: Path) -> list[str]:
    return [record.kind for record in waiting(home / "lineshaft-data")]


@pytest.mark.parametrize("suite", ["aes", "sm4"])
def test_a_file_is_sealed_described_and_opened(
    plant: Path, suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seal = ["data", "encrypt", "recipe.csv", "--place", "acme/oven", "--suite", suite]
    assert execute(seal) == 0
    sealed = plant / "recipe.csv.sealed"
    assert sealed.stat().st_mode & 0o777 == 0o600
    assert b"recipe,2026" not in sealed.read_bytes()
    capsys.readouterr()
    assert execute(["data", "describe", "recipe.csv.sealed", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["place"] == "acme/oven"
    assert execute(["data", "decrypt", "recipe.csv.sealed", "back.csv"]) == 0
    assert (plant / "back.csv").read_text() == RECIPE
    assert kinds(plant) == ["data.seal", "data.open"]


def test_of_a_changed_file_nothing_is_written(plant: Path) -> None:
    assert execute(["data", "encrypt", "recipe.csv"]) == 0
    sealed = plant / "recipe.csv.sealed"
    sealed.write_bytes(sealed.read_bytes()[:-1])
    assert execute(["data", "decrypt", "recipe.csv.sealed", "back.csv"]) == 1
    assert not list(plant.glob("back*"))


def test_keys_are_listed_without_their_secret(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["data", "encrypt", "recipe.csv", "--place", "acme"]) == 0
    capsys.readouterr()
    assert execute(["data", "keys", "--json"]) == 0
    [key] = json.loads(capsys.readouterr().out)
    assert key["place"] == "acme"
    assert not {"wrapped", "master"} & key.keys()


def test_destroying_leaves_a_certificate_a_record_and_nothing_to_read(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["data", "encrypt", "recipe.csv", "--place", "acme/oven"]) == 0
    capsys.readouterr()
    assert execute(["data", "destroy", "acme/oven", "--why", "contract ended"]) == 0
    said = capsys.readouterr().out
    assert "CERTIFICATE OF DESTRUCTION" in said
    assert str(plant / "recipe.csv.sealed") in said
    assert execute(["data", "decrypt", "recipe.csv.sealed", "back.csv"]) == 1
    assert "was destroyed" in capsys.readouterr().err
    assert kinds(plant) == ["data.seal", "data.destroy.key"]
    destroyed = plant / "lineshaft-data/keys/destroyed"
    assert {path.suffix for path in destroyed.iterdir()} == {".json", ".txt"}


def test_what_is_important_is_not_destroyed_without_approval(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    destroy = ["data", "destroy", "acme/oven", "--why", "contract ended"]
    assert execute(["data", "encrypt", "recipe.csv", "--place", "acme/oven"]) == 0
    (plant / "lineshaft.toml").write_text(CONFIG + LABELS)
    assert execute(destroy) == 1
    assert "without an approval in writing" in capsys.readouterr().err
    assert execute(["data", "decrypt", "recipe.csv.sealed", "back.csv"]) == 0
    records = waiting(plant / "lineshaft-data")
    assert ("data.destroy", "denied") in {(each.kind, each.result) for each in records}
    (plant / "lineshaft.toml").write_text(CONFIG + LABELS + APPROVAL)
    assert execute(destroy) == 0
    assert "contract 7" in capsys.readouterr().out


def test_destroying_takes_a_reason(plant: Path) -> None:
    assert execute(["data", "encrypt", "recipe.csv", "--place", "acme/oven"]) == 0
    assert execute(["data", "destroy", "acme/oven", "--why", " "]) == 2
    assert execute(["data", "decrypt", "recipe.csv.sealed", "back.csv"]) == 0


def test_an_export_that_breaks_off_leaves_no_file(plant: Path) -> None:
    def parts() -> "list[bytes]":
        raise OSError("the plant went away")

    with pytest.raises(OSError, match="went away"):
        seal_parts(
            plant / "d", (each for _ in [0] for each in parts()), plant / "x", ""
        )
    assert not list(plant.glob("x*"))
    assert not (plant / "d").exists(), "no key is made for nothing"


@pytest.mark.parametrize(
    ("pattern", "place"),
    [("a/b/c", "a/b"), ("a/*/c", "a"), ("**", ""), ("a/b/**", "a/b"), ("a/b*/c", "a")],
)
def test_the_key_of_an_export_is_that_of_the_place_that_has_it_all(
    pattern: str, place: str
) -> None:
    assert common_place(pattern) == place


def test_parts_are_read_as_a_file_of_any_piece_size() -> None:
    source = Parts([b"abc", b"", b"defg"])
    assert [source.read(2) for _ in range(5)] == [b"ab", b"c", b"de", b"fg", b""]
