"""A sealed back-up shows nothing, comes back with its passphrase, and can be ended."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lineshaft.cli.verbs import execute
from lineshaft.core.errors import ConfigError, Denied, NotFound, Refused
from lineshaft.core.reading import to_us
from lineshaft.platform.historian.arrow import to_table
from lineshaft.platform.historian.care.backup import Wanted, back_up
from lineshaft.platform.historian.care.manifest import read_manifest, verify
from lineshaft.platform.historian.care.restore import restore
from lineshaft.platform.historian.care.upgrade import open_store
from lineshaft.platform.historian.memory.hot import Hot
from lineshaft.platform.historian.store.table import Store
from lineshaft.security.data.keys.escrow import BackupKey
from lineshaft.security.data.keys.ring import PASSPHRASE
from support.frames import frame

BEGIN = to_us(datetime(2020, 1, 1, 12, tzinfo=UTC))
NAME, KEY = "00112233445566aa", bytes(range(32))
CONFIG = """\
[computed]
points = "computed.csv"
[data]
[[data.label]]
on = ["acme"]
class = "production"
grade = "important"
"""
APPROVAL = """\
[[data.approval]]
id = "7"
by = "head of data"
stage = "destroy"
on = ["**"]
until = 2099-01-01T00:00:00Z
"""


def record(home: Path, first: int) -> None:
    store, _ = open_store(home)
    hot = Hot(60.0, 10**6, None)
    number = first + 1
    rows = [("acme/recipe", BEGIN + first + n, float(first + n)) for n in range(50)]
    hot.take(frame(rows))
    writer = "historian/stream"
    store.append(to_table(hot.begin_commit(), hot.points), writer, {writer: number})


def values(home: Path) -> list[float]:
    read = Store(home).advance().read(["acme/recipe"], 0, 10**16)
    found: list[float] = read["value"].to_pylist()
    return found


def seals(target: Path, passphrase: str = "correct horse") -> BackupKey:
    made = BackupKey(target, passphrase)
    made.use(NAME, KEY)
    return made


def all_bytes(target: Path) -> bytes:
    return b"".join(path.read_bytes() for path in target.rglob("*") if path.is_file())


def test_a_sealed_back_up_shows_nothing_and_comes_back(tmp_path: Path) -> None:
    home, target, data = tmp_path / "history", tmp_path / "b", tmp_path / "new"
    record(home, 0)
    toml = tmp_path / "lineshaft.toml"
    toml.write_text("# the address of the press\n")
    folder, made = back_up(
        Wanted(home, target, {"lineshaft.toml": toml}, None, seals(target))
    )
    held = all_bytes(target)
    for word in (b"PAR1", b"acme/recipe", b"address of the press"):
        assert word not in held
    assert {entry.key for entry in made.files} == {NAME}
    assert verify(folder) == made  # takes no key
    restore(target, data, replace=False, seals=BackupKey(target, "correct horse"))
    assert values(data / "history") == values(home)
    assert (data / "configuration/lineshaft.toml").read_text() == toml.read_text()


def test_what_an_earlier_sealed_back_up_has_is_not_copied_again(tmp_path: Path) -> None:
    home, target = tmp_path / "history", tmp_path / "b"
    record(home, 0)
    back_up(Wanted(home, target, seals=seals(target)))
    [before] = (target / "readings").rglob("*.sealed")
    first = before.read_bytes()
    record(home, 100)
    back_up(Wanted(home, target, seals=seals(target)))
    assert before.read_bytes() == first
    assert len(list((target / "readings").rglob("*.sealed"))) == 2


def test_plain_and_sealed_back_ups_do_not_share_files(tmp_path: Path) -> None:
    home, target = tmp_path / "history", tmp_path / "b"
    record(home, 0)
    plain, _ = back_up(Wanted(home, target))
    sealed, _ = back_up(Wanted(home, target, seals=seals(target)))
    assert {e.key for e in read_manifest(plain).files} == {""}
    assert {e.key for e in read_manifest(sealed).files} == {NAME}
    assert (read_manifest(plain).format, read_manifest(sealed).format) == (1, 2)
    verify(plain)
    verify(sealed)


def test_a_wrong_or_no_passphrase_changes_nothing(tmp_path: Path) -> None:
    home, target, data = tmp_path / "history", tmp_path / "b", tmp_path / "new"
    record(home, 0)
    back_up(Wanted(home, target, seals=seals(target)))
    with pytest.raises(Denied, match="is not that of"):
        restore(target, data, replace=False, seals=BackupKey(target, "wrong"))
    with pytest.raises(ConfigError, match="LINESHAFT_KEY_PASSPHRASE"):
        restore(target, data, replace=False)
    assert not (data / "history").exists()
    with pytest.raises(ConfigError, match="is not set"):
        BackupKey(target, "")


def test_a_damaged_sealed_file_is_refused(tmp_path: Path) -> None:
    home, target = tmp_path / "history", tmp_path / "b"
    record(home, 0)
    folder, _ = back_up(Wanted(home, target, seals=seals(target)))
    [file] = (target / "readings").rglob("*.sealed")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(Refused, match="has changed"):
        verify(folder)


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(PASSPHRASE, raising=False)
    (tmp_path / "lineshaft.toml").write_text(CONFIG)
    (tmp_path / "computed.csv").write_text("name;expression;type\nacme/x;1 + 1;int\n")
    record(tmp_path / "lineshaft-data/history", 0)
    return tmp_path


def test_important_data_are_backed_up_sealed_or_by_an_explicit_word(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["backup", "b"]) == 2
    assert "or say --plain" in capsys.readouterr().err
    assert not list(plant.glob("b/*/manifest.json"))
    assert execute(["backup", "b", "--plain"]) == 0
    assert "is not sealed" in capsys.readouterr().err
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    assert execute(["backup", "c"]) == 0
    assert b"PAR1" not in all_bytes(plant / "c")
    assert execute(["backup", "c", "--verify"]) == 0
    assert execute(["backup", "c", "--encrypt", "--plain"]) == 2


def test_a_sealed_back_up_is_restored_where_the_keys_of_the_plant_are_lost(
    plant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    before = values(plant / "lineshaft-data/history")
    assert execute(["backup", "b"]) == 0
    shutil.rmtree(plant / "lineshaft-data")
    assert execute(["restore", "b"]) == 0
    assert values(plant / "lineshaft-data/history") == before


def test_a_plant_without_important_data_is_backed_up_as_before(plant: Path) -> None:
    file = plant / "lineshaft.toml"
    file.write_text(CONFIG.replace("important", "general"))
    assert execute(["backup", "b"]) == 0
    assert b"PAR1" in all_bytes(plant / "b")


def test_destroying_the_key_of_the_plant_ends_its_sealed_back_ups(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    assert execute(["backup", "b"]) == 0
    [copy] = (plant / "b/keys").iterdir()
    (plant / "lineshaft.toml").write_text(CONFIG + APPROVAL)
    capsys.readouterr()
    assert execute(["data", "destroy", "", "--why", "the line is sold"]) == 0
    said = capsys.readouterr().out
    assert f"{copy}: overwritten and removed" in said
    assert not copy.exists()
    assert execute(["restore", "b", "--data", "elsewhere"]) == 1
    assert "gone" in capsys.readouterr().err
    assert not (plant / "elsewhere/history").exists()


def test_a_copy_of_a_key_that_is_out_of_reach_is_told(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    assert execute(["backup", "b"]) == 0
    (plant / "b").rename(plant / "carried-away")
    (plant / "lineshaft.toml").write_text(CONFIG + APPROVAL)
    capsys.readouterr()
    assert execute(["data", "destroy", "", "--why", "the line is sold"]) == 0
    assert "NOT THERE NOW" in capsys.readouterr().out


def test_a_key_that_is_gone_from_the_back_up_is_not_found(tmp_path: Path) -> None:
    made = seals(tmp_path)
    source, target = tmp_path / "x", tmp_path / "y"
    source.write_bytes(b"recipe")
    made.seal(source, target)
    (tmp_path / "keys" / f"{NAME}.json").unlink()
    with pytest.raises(NotFound, match="is gone"):
        BackupKey(tmp_path, "correct horse").open(target, source)
