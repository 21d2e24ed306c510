"""From the unit in which a device measures to the one that the plant sees.

The only file that imports pint, and it is imported only if a point list converts.
Units are written as engineers write them: degC, °C, m³/h, m3/h, kWh, l/min, rpm, %.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache

from pint import DimensionalityError, UndefinedUnitError, UnitRegistry
from pint.errors import PintError

from lineshaft.core.errors import ConfigError

_DEFINITIONS = (
    # Powers that look like watts to physics, and must never be mistaken for them.
    "var = [reactive_power]",
    "voltampere = [apparent_power] = _ = VA",
    # Above the air outside, so not what an absolute sensor says.
    "barg = [gauge_pressure]",
    "psig = 0.0689475729316836 * barg",
    # A cubic metre at the conditions that a contract names.
    "normal_cubic_meter = [normal_volume] = Nm3",
    "acidity = [acidity]",
    "percent_relative_humidity = [humidity]",
    # So that turns per second are never taken for radians per second.
    "plane_angle = [angle]",
    "angle_degree = 0.017453292519943295769 * plane_angle",
)
_SPELLINGS = {
    "Cel": "degC",
    "celsius": "degC",
    "°C": "degC",
    "℃": "degC",
    "°F": "degF",
    "fahrenheit": "degF",
    "°": "angle_degree",
    "deg": "angle_degree",
    "rad": "plane_angle",
    "Ω": "ohm",
    "Ohm": "ohm",
    "%": "percent",
    "‰": "permille",
    "%RH": "percent_relative_humidity",
    "RH": "percent_relative_humidity",
    "pH": "acidity",
    "pcs": "count",
    "rpm": "(1/minute)",
    "U/min": "(1/minute)",
    "Nm": "(newton*meter)",
    "kNm": "(kilonewton*meter)",
    "Ncm": "(newton*centimeter)",
    "Nm3": "normal_cubic_meter",
    "Nm³": "normal_cubic_meter",
    "gpm": "(gallon/minute)",
    "cfm": "(foot**3/minute)",
    "bar(g)": "barg",
    "bar(a)": "bar",
    "bara": "bar",
    "psia": "psi",
    "ton": "metric_ton",
    '"': "inch",
    "1": "dimensionless",
}
_COMMON = (
    "degC degF K bar mbar Pa hPa kPa MPa psi mmHg W kW MW Wh kWh MWh GWh J kJ MJ GJ "
    "BTU kcal hp V mV kV A mA kA VA kVA var kvar Hz kHz ohm rpm m mm cm km µm in ft "
    "m² m³ l ml gal g kg mg t lb s ms min h d N kN Nm l/min l/h m³/h m3/h kg/h t/h "
    "kg/s m/s mm/s m/min ft/min km/h rad/s deg rad % ‰ ppm g/l kg/m³ g/cm³ mPa*s lx "
    "lm cd S µS/cm mS/cm gpm cfm barg psig Nm3/h pH %RH count 1/min 1/s"
)
_ALL = tuple(re.findall(r"\S+", _COMMON))
_TERM = re.compile(
    r"(?P<name>[A-Za-zµμ]*[°℃Ω%‰\"]?[A-Za-zµμ]*(?:H2O|\([ag]\))?|Nm3|1)"
    r"(?P<power>(?:\^|\*\*)?[-+]?[1-4]|[⁻]?[¹²³⁴])?"
)
_RAISED = str.maketrans("⁻¹²³⁴", "-1234")
_DIVISOR = re.compile(r"/\(([^()]*)\)")
_TIMES = re.compile(r"[*·⋅.]")
_LONGEST, _SHOWN = 40, 4


@lru_cache(maxsize=1)
def _units() -> UnitRegistry[Decimal]:
    registry: UnitRegistry[Decimal] = UnitRegistry(non_int_type=Decimal)
    for line in _DEFINITIONS:
        registry.define(line)
    return registry


@lru_cache(maxsize=4096)
def conversion(source: str, unit: str) -> tuple[float, float]:
    """Return scale and offset: a value in `unit` is one in `source` * scale + offset.

    `ConfigError` names an unknown unit with the nearest spelling, and units that
    measure different things.
    """
    if source == unit:
        return 1.0, 0.0
    units = _units()
    there = _expression(unit, _ALL)
    alike = _alike(there)
    here = _expression(source, alike or _ALL)
    try:
        zero, one, two = (
            units.Quantity(Decimal(number), here).to(there).magnitude
            for number in (0, 1, 2)
        )
    except DimensionalityError as error:
        raise ConfigError(
            f"{source!r} cannot become {unit!r}: they measure different things"
            + (f"; of its kind are {', '.join(alike[:_SHOWN])}" if alike else "")
        ) from error
    except (PintError, ArithmeticError, TypeError, AttributeError) as error:
        raise ConfigError(_curved(source, unit)) from error
    scale, offset = one - zero, zero
    if abs(two - (2 * scale + offset)) > abs(two) * Decimal("1e-12"):
        raise ConfigError(_curved(source, unit))
    return float(scale), float(round(offset, 20))


def _curved(source: str, unit: str) -> str:
    return (
        f"{source!r} becomes {unit!r} along a curve, as logarithms do; write scale and "
        "offset for the range that matters"
    )


def _expression(text: str, known: Sequence[str]) -> str:
    """Return the unit in the spelling of pint."""
    if len(text) > _LONGEST:
        raise ConfigError(f"{text[:_LONGEST]!r}... is too long for a unit")
    if text in _SPELLINGS:
        return _SPELLINGS[text]
    flat = _DIVISOR.sub(lambda found: "/" + _TIMES.sub("/", found[1]), text.strip())
    parts = re.split(r"(/|·|⋅|\.|(?<!\*)\*(?!\*))", flat)
    compound = len(parts) > 1
    made = []
    for part in parts:
        if part in {"/", "·", "⋅", ".", "*"}:
            made.append("/" if part == "/" else "*")
        else:
            made.append(_term(text, part.strip(), known, compound=compound))
    return "".join(made)


def _term(text: str, part: str, known: Sequence[str], *, compound: bool) -> str:
    name, power = part, ""
    if part not in _SPELLINGS:
        match = _TERM.fullmatch(part)
        if match is None or not match["name"]:
            raise ConfigError(_unknown(text, part, known))
        name = match["name"]
        power = (match["power"] or "").translate(_RAISED).lstrip("^*")
    name = _SPELLINGS.get(name, name)
    try:
        _units().parse_units(name)
    except (UndefinedUnitError, PintError, ArithmeticError, TypeError) as error:
        raise ConfigError(_unknown(text, part, known)) from error
    if compound and name in {"degC", "degF"}:
        name = f"delta_{name}"  # a difference: K and °C are the same there
    return f"({name})**({power})" if power else f"({name})"


def _unknown(text: str, part: str, known: Sequence[str]) -> str:
    of = "" if part == text else f" in {text!r}"
    lower = {each.lower(): each for each in known}
    near = lower.get(text.lower(), "") or next(
        (lower[each] for each in get_close_matches(text.lower(), lower, 1, 0.5)), ""
    )
    hint = f"did you mean {near!r}?" if near else "write scale and offset instead"
    return f"there is no unit {part!r}{of}; {hint}"


@lru_cache(maxsize=256)
def _alike(expression: str) -> tuple[str, ...]:
    """Return common units that measure the same."""
    units = _units()
    wanted = units.Unit(expression).dimensionality
    return tuple(
        each
        for each in _ALL
        if units.Unit(_expression(each, _ALL)).dimensionality == wanted
    )
