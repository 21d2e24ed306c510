"""Units: what the device gives becomes what the plant sees, or a sentence says why."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.errors import ConfigError
from lineshaft.network.commander import to_raw
from lineshaft.settings.points import read_points
from lineshaft.settings.units import conversion

SAME = [
    ("degF", "degC", 212.0, 100.0),
    ("°F", "°C", -40.0, -40.0),
    ("Cel", "K", 0.0, 273.15),
    ("psi", "bar", 14.503773773, 1.0),
    ("kWh", "MJ", 1.0, 3.6),
    ("l/min", "m3/h", 100.0, 6.0),
    ("L/min", "m³/h", 100.0, 6.0),
    ("gpm", "l/min", 1.0, 3.785411784),
    ("µm", "mm", 1000.0, 1.0),
    ("rpm", "1/min", 1500.0, 1500.0),
    ("min-1", "Hz", 3000.0, 50.0),
    ("deg", "rad", 180.0, math.pi),
    ("%", "1", 50.0, 0.5),
    ("W/m2", "kW/m²", 1000.0, 1.0),
    ("kJ/(kg*K)", "J/kg/K", 1.0, 1000.0),
    ("degC/min", "K/s", 60.0, 1.0),
    ("N·m", "kNm", 1000.0, 1.0),
    ("Nm3/h", "Nm³/s", 3600.0, 1.0),
    ("anything", "anything", 7.0, 7.0),
]


@pytest.mark.parametrize(("source", "unit", "before", "after"), SAME)
def test_a_value_keeps_its_meaning(
    source: str, unit: str, before: float, after: float
) -> None:
    scale, offset = conversion(source, unit)
    assert before * scale + offset == pytest.approx(after, abs=1e-9)
    back, shift = conversion(unit, source)
    assert after * back + shift == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize(
    ("source", "unit", "told"),
    [
        ("degF", "bar", "measure different things; of its kind are bar, mbar"),
        ("kvar", "kW", "different things"),
        ("barg", "bar", "different things"),
        ("Hz", "rad/s", "different things"),
        ("Kwh", "MJ", "did you mean 'kWh'"),
        ("dgF", "degC", "did you mean 'degF'"),
        ("kg/hx", "t/h", "'hx' in 'kg/hx'; did you mean 'kg/h'"),
        ("dB", "1", "along a curve"),
        ("x" * 50, "m", "too long"),
        ("__class__", "m", "there is no unit"),
        ("m**9", "m", "there is no unit"),
    ],
)
def test_what_cannot_be_converted_is_told(source: str, unit: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        conversion(source, unit)


@given(source=st.text(max_size=20), unit=st.sampled_from(["m", "degC", "kW"]))
def test_any_text_is_a_unit_or_a_config_error(source: str, unit: str) -> None:
    try:
        scale, offset = conversion(source, unit)
    except ConfigError:
        return
    assert math.isfinite(scale)
    assert math.isfinite(offset)


def listed(folder: Path, *rows: str) -> Path:
    file = folder / "points.csv"
    header = "name,address,type,unit,source_unit,scale,offset,deadband"
    file.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return file


def test_scale_and_offset_lead_through_the_source_unit(tmp_path: Path) -> None:
    """A register of tenths of a degree Fahrenheit, above 10 °F."""
    file = listed(tmp_path, "a/t,x,float,degC,degF,0.1,10,0.5", "a/u,x,float,kW,,2,1,0")
    found = read_points(file, lambda _: None)
    assert not found.problems
    converted, plain = found.points
    assert 2020 * converted.scale + converted.offset == pytest.approx(100.0)
    assert to_raw(converted, 100.0) == pytest.approx(2020)
    assert (converted.deadband, converted.unit) == (0.5, "degC")
    assert (plain.scale, plain.offset) == (2.0, 1.0)


def test_wrong_units_are_told_with_line_and_column(tmp_path: Path) -> None:
    file = listed(
        tmp_path,
        "a/t,x,float,bar,degF,,,",
        "a/u,x,float,MJ,kwH,,,",
        "a/v,x,float,,degF,,,",
        "a/w,x,string,degC,degF,,,",
        "a/x,x,float,whatever one likes,,,,",
    )
    told = read_points(file, lambda _: None).problems
    places = [text.removeprefix(f"{file}:").split(" ")[0] for text in told]
    assert places == ["2:5:", "3:5:", "4:5:", "5:5:"]
    assert "did you mean 'kWh'?" in told[1]
    assert "needs the column 'unit'" in told[2]
