from pathlib import Path

import pytest

from lineshaft.cli.keeping import files_of_configuration


def test_a_back_up_holds_every_list_that_the_configuration_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "lineshaft.toml"
    config.write_text(
        '[computed]\npoints = "computed.csv"\n'
        '[devices.a]\npoints = "lists/a.csv"\n[devices.b]\npoints = "../b.csv"\n'
        '[devices.c]\npoints = "c.csv"\n'
    )
    (tmp_path / "lists").mkdir()
    for name in ("computed.csv", "lists/a.csv"):
        (tmp_path / name).touch()
    found = files_of_configuration(config)
    assert set(found) == {"lineshaft.toml", "lists/a.csv", "computed.csv"}
    told = capsys.readouterr().err
    assert "b.csv lies elsewhere" in told
    assert "c.csv does not exist" in told
