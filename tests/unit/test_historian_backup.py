"""A back-up is whole or it is refused; a restore is whole or changes nothing."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from lineshaft.core.errors import ConfigError, LineshaftError, NotFound, Refused
from lineshaft.core.reading import to_us
from lineshaft.platform.historian.arrow import SCHEMA, Table, to_table
from lineshaft.platform.historian.care import backup as module
from lineshaft.platform.historian.care.backup import Wanted, back_up
from lineshaft.platform.historian.care.holding import recording
from lineshaft.platform.historian.care.manifest import backups_in, verify
from lineshaft.platform.historian.care.restore import restore
from lineshaft.platform.historian.care.upgrade import open_store
from lineshaft.platform.historian.care.version import FORMAT, FORMAT_FILE, format_of
from lineshaft.platform.historian.memory.hot import Hot
from lineshaft.platform.historian.store.table import PROPERTIES, Store
from support.frames import frame

BEGIN = to_us(datetime(2020, 1, 1, 12, tzinfo=UTC))
WRITER = "historian/stream"


def rows_of(number: int, count: int = 50) -> Table:
    hot = Hot(60.0, 10**6, None)
    first = number * 1000
    rows = [
        ("acme/a", BEGIN + first + each, float(first + each)) for each in range(count)
    ]
    hot.take(frame(rows))
    return to_table(hot.begin_commit(), hot.points)


def recorded(home: Path, first: int, last: int) -> Store:
    store, _ = open_store(home)
    for number in range(first, last + 1):
        store.append(rows_of(number), WRITER, {WRITER: number})
    return store


def values(home: Path) -> list[float]:
    found: list[float] = (
        Store(home).advance().read(["acme/a"], 0, 10**16)["value"].to_pylist()
    )
    return found


def test_what_was_backed_up_is_restored_with_how_far_it_reached(tmp_path: Path) -> None:
    home, target, data = tmp_path / "history", tmp_path / "backups", tmp_path / "new"
    recorded(home, 1, 5)
    toml = tmp_path / "lineshaft.toml"
    toml.write_text("[plant]\n")
    folder, manifest = back_up(Wanted(home, target, {"lineshaft.toml": toml}))
    assert manifest.rows == 250
    assert manifest.reached == {WRITER: 5}
    assert verify(folder) == manifest
    restore(target, data, replace=False)
    assert values(data / "history") == values(home)
    assert (data / "configuration" / "lineshaft.toml").read_text() == "[plant]\n"
    again = recorded(data / "history", 4, 7)  # 4 and 5 come again from the bus
    assert again.reached(WRITER) == 7
    assert len(values(data / "history")) == 7 * 50


@pytest.mark.parametrize("checkpoint", [0, 2, 3])
def test_a_back_up_is_the_table_at_one_version_while_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: int
) -> None:
    home, target = tmp_path / "history", tmp_path / "backups"
    store = recorded(home, 1, 3)
    if checkpoint:
        store.checkpoint()
    before = values(home)
    number = 3
    real = module._bring

    def busy(*arguments: object) -> object:
        nonlocal number
        number += 1
        store.append(rows_of(number), WRITER, {WRITER: number})
        if number == 4 + checkpoint:
            store.checkpoint()
            store.compact()
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_bring", busy)
    back_up(Wanted(home, target))
    restore(target, tmp_path / "new", replace=False)
    assert values(tmp_path / "new" / "history") == before
    assert len(values(home)) == number * 50


def test_only_new_files_are_copied_and_nothing_is_shared(tmp_path: Path) -> None:
    home, target = tmp_path / "history", tmp_path / "backups"
    recorded(home, 1, 3)
    put: list[Path] = []

    def counting(source: Path, there: Path) -> None:
        put.append(source)
        shutil.copyfile(source, there)

    back_up(Wanted(home, target), counting)
    assert len(put) == 3
    recorded(home, 4, 4)
    back_up(Wanted(home, target), counting)
    assert len(put) == 4
    assert all(path.stat().st_nlink == 1 for path in target.rglob("*.parquet"))
    first, second = backups_in(target)
    for folder, count in ((first, 150), (second, 200)):
        restore(folder, tmp_path / folder.name, replace=False)
        assert len(values(tmp_path / folder.name / "history")) == count


def test_old_back_ups_go_with_what_only_they_need(tmp_path: Path) -> None:
    home, target = tmp_path / "history", tmp_path / "backups"
    store = recorded(home, 1, 2)
    back_up(Wanted(home, target, keep=2))
    store.compact()
    for _ in range(2):
        back_up(Wanted(home, target, keep=2))
    assert len(backups_in(target)) == 2
    assert len(list((target / "readings").rglob("*.parquet"))) == 1
    assert verify(backups_in(target)[-1]).rows == 100


def damaged(folder: Path, what: str) -> None:
    [data, *_] = (folder.parent / "readings").rglob("*.parquet")
    if what == "a byte":
        content = bytearray(data.read_bytes())
        content[len(content) // 2] ^= 1
        data.write_bytes(bytes(content))
    elif what == "an end":
        os.truncate(data, 100)
    elif what == "a file":
        data.unlink()
    elif what == "the log":
        [*_, commit] = sorted((folder / "history").rglob("*.json"))
        commit.write_text("{}")
    else:
        manifest = folder / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"rows": 150', '"rows": 15'))


@pytest.mark.parametrize("what", ["a byte", "an end", "a file", "the log", "manifest"])
def test_a_damaged_back_up_is_refused_and_changes_nothing(
    tmp_path: Path, what: str
) -> None:
    home, target = tmp_path / "plant" / "history", tmp_path / "backups"
    recorded(home, 1, 3)
    folder, _ = back_up(Wanted(home, target))
    damaged(folder, what)
    with pytest.raises(Refused, match="another back-up"):
        verify(folder)
    with pytest.raises(Refused):
        restore(target, tmp_path / "plant", replace=True)
    assert len(values(home)) == 150


def test_a_history_is_replaced_only_on_demand_and_put_aside(tmp_path: Path) -> None:
    home, target = tmp_path / "history", tmp_path / "backups"
    recorded(home, 1, 2)
    back_up(Wanted(home, target))
    recorded(home, 3, 3)
    with pytest.raises(Refused, match="--replace"):
        restore(target, tmp_path, replace=False)
    with recording(home), pytest.raises(ConfigError, match="already"):
        restore(target, tmp_path, replace=True)
    _, [aside] = restore(target, tmp_path, replace=True)
    assert (len(values(home)), len(values(aside))) == (100, 150)


def test_a_restore_that_was_interrupted_is_found_out(tmp_path: Path) -> None:
    home = tmp_path / "history"
    recorded(home, 1, 1)
    home.rename(tmp_path / "history.before-20200101T000000Z")
    with pytest.raises(ConfigError, match="interrupted"):
        open_store(home)


def test_without_a_history_or_back_up_it_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="--data"):
        back_up(Wanted(tmp_path / "history", tmp_path / "backups"))
    with pytest.raises(NotFound, match="holds no back-up"):
        restore(tmp_path, tmp_path / "new", replace=False)


def test_a_back_up_cannot_write_outside_of_the_data_directory(tmp_path: Path) -> None:
    home, target = tmp_path / "history", tmp_path / "backups"
    recorded(home, 1, 1)
    toml = tmp_path / "lineshaft.toml"
    toml.write_text("")
    back_up(Wanted(home, target, {"../../escaped": toml}))
    with pytest.raises(LineshaftError, match="outside"):
        restore(target, tmp_path / "new", replace=False)
    assert not (tmp_path / "new" / "escaped").exists()


def first_format(home: Path) -> None:
    """Write a history as the version before formats did."""
    path = str(home / "readings")
    home.mkdir()
    table = DeltaTable.create(
        path,
        SCHEMA,
        partition_by=["day"],
        name="readings",
        description="Readings of points, one row each",
    )
    for number in range(1, 4):
        commit = CommitProperties(app_transactions=[Transaction(WRITER, number)])
        write_deltalake(table, rows_of(number), mode="append", commit_properties=commit)


def test_a_history_of_the_first_format_is_upgraded_and_there_is_a_way_back(
    tmp_path: Path,
) -> None:
    home = tmp_path / "history"
    first_format(home)
    assert format_of(home) == 1
    before = values(home)
    store, event = open_store(home)
    assert event is not None
    assert event.kind == "historian.upgraded"
    assert format_of(home) == FORMAT
    assert DeltaTable(str(home / "readings")).metadata().configuration == PROPERTIES
    assert values(home) == before
    assert store.reached(WRITER) == 3
    store.append(rows_of(4), WRITER, {WRITER: 4})
    store.compact()
    store.vacuum(0)
    assert open_store(home)[1] is None, "only once"
    restore(tmp_path / "upgrades", tmp_path, replace=True)
    assert format_of(home) == 1
    assert not (home / FORMAT_FILE).exists()
    assert values(home) == before
    assert DeltaTable(str(home / "readings")).metadata().configuration == {}


def test_a_history_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "history"
    recorded(home, 1, 1)
    (home / FORMAT_FILE).write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(ConfigError, match=f"format {FORMAT + 1}"):
        open_store(home)
    (home / FORMAT_FILE).write_text("garbage")
    with pytest.raises(ConfigError, match="cannot be understood"):
        open_store(home)
