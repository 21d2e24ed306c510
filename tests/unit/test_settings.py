import time
from pathlib import Path

import pytest

from lineshaft import settings
from lineshaft.core.errors import ConfigError
from lineshaft.core.point import Kind
from lineshaft.settings.points import read_points, write_points

TOML = """\
[plant]
name = "Osaka"

[devices.meter]
driver = "modbus"
points = "meter.csv"
host = "127.0.0.1"
"""
CSV = "name,address\nacme/osaka/meter/power,holding:10:float32\n"


def write(folder: Path, toml: str = TOML, csv: str = CSV) -> Path:
    (folder / "meter.csv").write_text(csv, "utf-8")
    file = folder / "lineshaft.toml"
    file.write_text(toml, "utf-8")
    return file


def problems(folder: Path, toml: str = TOML, csv: str = CSV) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings.load(write(folder, toml, csv), folder / "data")
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


def any_address(address: str) -> None:
    pass


def test_a_sound_plant_is_loaded_with_its_points(tmp_path: Path) -> None:
    plant = settings.load(write(tmp_path), tmp_path)
    assert plant.name == "Osaka"
    [device] = plant.devices
    assert (device.name, device.protocol) == ("meter", "modbus")
    assert [point.name for point in device.points] == ["acme/osaka/meter/power"]


def test_the_environment_stands_above_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINESHAFT_WEB__PORT", "8123")
    assert settings.load(write(tmp_path), tmp_path).settings.web.port == 8123


def test_all_problems_are_told_at_once_each_with_its_place(tmp_path: Path) -> None:
    toml = TOML.replace("name =", "nmae =") + 'hots = "x"\ntimeout_s = 0\n'
    csv = CSV + "acme/osaka/meter/a b,nonsense\n"
    told = problems(tmp_path, toml + "\n[buss]\nport = 1\n", csv)
    assert "lineshaft.toml:2:1: plant.nmae: there is no such setting" in told[0]
    assert "did you mean 'name'?" in told[0]
    assert any(t.startswith("lineshaft.toml:11:2: buss: ") for t in told)
    assert any(":9:1: devices.meter.timeout_s: " in t for t in told)


def test_problems_of_the_driver_and_of_the_point_list_come_together(
    tmp_path: Path,
) -> None:
    csv = CSV + "acme/osaka/meter/a b,nonsense\n"
    told = problems(tmp_path, TOML + 'hots = "x"\n', csv)
    assert any(t.startswith("meter.csv:3:1: name: ") for t in told)
    assert any(t.startswith("meter.csv:3:2: address: ") for t in told)
    assert any(
        t.startswith("lineshaft.toml:8:1: devices.meter.hots: there is no such")
        and "did you mean 'host'?" in t
        for t in told
    )


def test_toml_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "lineshaft.toml"
    file.write_text("a = " + "[" * 100_000)
    with pytest.raises(ConfigError, match="nested without end"):
        settings.load(file, tmp_path)


def test_toml_that_is_none_names_line_and_column(tmp_path: Path) -> None:
    [told] = problems(tmp_path, '[plant]\nname = "Osaka\n')
    assert told.startswith("lineshaft.toml:2:")
    assert "is not TOML" in told


def test_a_file_that_is_absent_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lineshaft add"):
        settings.load(tmp_path / "lineshaft.toml", tmp_path)


def test_an_unknown_driver_names_the_known_ones(tmp_path: Path) -> None:
    [told] = problems(tmp_path, TOML.replace('"modbus"', '"modbuss"'))
    assert told.startswith("lineshaft.toml:5:1: devices.meter.driver: no driver speaks")
    assert "did you mean 'modbus'?" in told


def test_a_name_belongs_to_one_point_in_the_whole_plant(tmp_path: Path) -> None:
    twice = TOML + TOML[TOML.index("[devices") :].replace("meter]", "other]")
    [told] = problems(tmp_path, twice)
    assert "meter.csv:2:1: name: 'acme/osaka/meter/power' stands already at" in told


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("acme/x,h,real", "3: type: 'real' is not a type; types are float"),
        ("acme/x,h,strnig", "3: type: 'strnig' is not a type; did you mean 'string'?"),
        ("acme/x,h,,kW,zero", "5: scale: 'zero' is not a number"),
        ("acme/x,h,,kW,0", "5: scale: 0 would lose every value"),
        ('acme/x,h,,kW,"0,1"', "5: scale: '0,1' is not a number; write 0.1"),
        ("acme/x,h,,kW,1,nan", "6: offset: 'nan' is not a finite number"),
        ("acme/x,h,,kW,1,0,-1", "7: deadband: '-1' is negative"),
        ("acme/x,h,,kW,1,0,0,0s", "8: period: '0s' is not a period"),
        ("acme/x,h,,kW,1,0,0,1s,text,maybe", "10: writable: 'maybe' is neither yes"),
        ("acme/x", "has 1 cells, the header has 10"),
        ("acme/x,", "2: address: is empty"),
        ("acme/x,h,,,,,,,a,no,extra", "has 11 cells, the header has 10"),
    ],
)
def test_a_wrong_cell_is_told_with_line_and_column(
    tmp_path: Path, row: str, message: str
) -> None:
    header = "name,address,type,unit,scale,offset,deadband,period,description,writable"
    file = tmp_path / "p.csv"
    file.write_text(f"{header}\nacme/good,h\n{row}\n")
    found = read_points(file, any_address)
    [told] = found.problems
    assert told.startswith(f"{file}:3:")
    assert message in told
    assert [point.name for point in found.points] == ["acme/good"]


def test_a_header_that_is_wrong_names_the_nearest_column(tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text("name,adress,unit,unit\n")
    told = read_points(file, any_address).problems
    assert f"{file}:1:2: there is no column 'adress'; did you mean 'address'?" in told
    assert f"{file}:1:3: column 'unit' stands there twice" in told
    assert f"{file}:1: the column 'address' is missing" in told


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_of_the_spreadsheet_is_understood(
    tmp_path: Path, separator: str
) -> None:
    file = tmp_path / "p.csv"
    rows = [["name", "address", "type", "period"], ["a/b", "x", "INT", "500ms"]]
    text = "".join(separator.join(row) + "\r\n" for row in rows)
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    [point] = read_points(file, any_address).points
    assert (point.type, point.period_s) == (Kind.INT, 0.5)


def test_only_a_line_break_ends_a_row(tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text("name,address\na/b,x\x1cy\u2028z\na/c,w\n")
    addresses = [point.address for point in read_points(file, any_address).points]
    assert addresses == ["x\x1cy\u2028z", "w"]


def test_text_that_is_not_utf8_says_how_to_save_it(tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_bytes("name,address\na/b,温度\n".encode("cp932"))
    [told] = read_points(file, any_address).problems
    assert told.startswith(f"{file}:2: is not UTF-8 text; save it as 'CSV UTF-8'")


def test_what_is_written_is_what_was_read(tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    text = 'a/b,x,int,mm,2,1.5,0.1,500ms,"two, words",yes\na/c,y,,,,,,,,\n'
    file.write_text(
        "name,address,type,unit,scale,offset,deadband,period,"
        "description,writable\n" + text
    )
    before = read_points(file, any_address).points
    write_points(file, before)
    assert read_points(file, any_address).points == before


def test_a_secret_is_fetched_and_never_written_into_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = TOML.replace('"modbus"', '"mqtt"').replace("[devices.meter]", "[devices.m]")
    monkeypatch.setenv("MQTT_WORD", "s3cret")
    csv = "name,address\nacme/x,plant/x\n"
    good = toml + 'user = "u"\npassword = "env:MQTT_WORD"\n'
    plant = settings.load(write(tmp_path, good, csv), tmp_path)
    assert "s3cret" not in repr(plant)
    [told] = problems(tmp_path, toml + 'user = "u"\npassword = "s3cret"\n', csv)
    assert "devices.m.password: a secret is not written into this file" in told
    assert "s3cret" not in told


def test_many_points_are_checked_at_a_row_s_pace_not_a_file_s(tmp_path: Path) -> None:
    def seconds(rows: int) -> float:
        file = tmp_path / f"{rows}.csv"
        body = "".join(f"acme/a{n % 50}/p{n},x,float,kW\n" for n in range(rows))
        file.write_text("name,address,type,unit\n" + body)
        began = time.process_time()
        assert len(read_points(file, any_address).points) == rows
        return time.process_time() - began

    seconds(1000)
    assert seconds(20_000) < 100 * max(seconds(1000), 0.001)


@pytest.mark.parametrize("rows", [3, 20_000])
def test_a_quote_that_is_not_closed_swallows_no_points_in_silence(
    tmp_path: Path, rows: int
) -> None:
    file = tmp_path / "p.csv"
    good = "".join(f"a/p{place},x,text\n" for place in range(rows))
    text = f'name,address,description\na/b,x,text\na/c,x,"open\n{good}'
    file.write_text(text, "utf-8")
    found = read_points(file, lambda _: None)
    [told] = found.problems
    assert told.startswith(f"{file}:3: is not CSV from here on: ")
    assert "quote" in told


def test_files_of_an_mqtt_device_are_looked_for_beside_the_configuration(
    tmp_path: Path,
) -> None:
    (tmp_path / "p.csv").write_text("name,address\na/b,t\n")
    file = tmp_path / "lineshaft.toml"
    file.write_text(
        '[devices.m]\ndriver = "mqtt"\npoints = "p.csv"\nhost = "h"\n'
        'ca_file = "ca.pem"\ncertificate = "us.pem"\nprivate_key = "us.key"\n'
    )
    [device] = settings.load(file, tmp_path / "data").devices
    told = device.settings.model_dump()
    keys = ("ca_file", "certificate", "private_key")
    names = ("ca.pem", "us.pem", "us.key")
    assert [told[key] for key in keys] == [tmp_path / name for name in names]
