import csv
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from lineshaft.network.device import Driver
from lineshaft.network.drivers import load
from lineshaft.network.drivers.modbus import driver
from lineshaft.network.drivers.modbus.address import parse_address
from lineshaft.network.drivers.replay import driver as replay

COMMON = {"driver", "points"}


@pytest.mark.parametrize("name", ["modbus", "replay"])
def test_the_example_is_valid(name: str) -> None:
    loaded: Driver = load(name)
    folder = Path(str(loaded.__file__)).parent  # type: ignore[attr-defined]  # it is a module
    told = tomllib.loads((folder / "example.toml").read_text(encoding="utf-8"))
    for settings in told["devices"].values():
        assert settings["driver"] == name
        own = {key: value for key, value in settings.items() if key not in COMMON}
        assert isinstance(loaded.Settings.model_validate(own), BaseModel)
        with (folder / settings["points"]).open(encoding="utf-8", newline="") as file:
            addresses = [row["address"] for row in csv.DictReader(file)]
        assert addresses
        for address in addresses:
            loaded.check_address(address)


@pytest.mark.parametrize("settings", [driver.Settings, replay.Settings])
def test_every_setting_is_described_and_in_the_readme(
    settings: type[BaseModel],
) -> None:
    module = {driver.Settings: driver, replay.Settings: replay}[settings]
    readme = Path(str(module.__file__)).with_name("README.md").read_text("utf-8")
    for name, field in settings.model_fields.items():
        assert field.description, name
        assert f"| `{name}` |" in readme


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError):
        driver.Settings.model_validate({"host": "h", "prot": 502})


def test_the_addresses_of_the_readme_mean_what_it_says() -> None:
    same = ["holding:100", "holding:0x64", "40101", "400101"]
    assert len({parse_address(text) for text in same}) == 1
    pairs = [
        ("input:7:int16", "30008:int16"),
        ("holding:5.3", "holding:5:uint16.3"),
        ("coil:3", "00004"),
        ("discrete:12", "10013"),
    ]
    for named, classic in pairs:
        assert parse_address(named) == parse_address(classic)
