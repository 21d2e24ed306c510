"""Units as OPC UA names them: UNECE Recommendation 20 codes (IEC 62541-8, 5.6.3)."""

from asyncua import ua

UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"
CODES = {
    "%": "P1",
    "A": "AMP",
    "Cel": "CEL",
    "degC": "CEL",
    "°C": "CEL",
    "Hz": "HTZ",
    "K": "KEL",
    "MPa": "MPA",
    "N": "NEW",
    "Pa": "PAL",
    "V": "VLT",
    "W": "WTT",
    "bar": "BAR",
    "g": "GRM",
    "h": "HUR",
    "kN": "B47",
    "kPa": "KPA",
    "kW": "KWT",
    "kWh": "KWH",
    "kg": "KGM",
    "l": "LTR",
    "l/min": "L2",
    "m": "MTR",
    "m/s": "MTS",
    "m3": "MTQ",
    "m3/h": "MQH",
    "min": "MIN",
    "mm": "MMT",
    "mm/s": "C16",
    "rpm": "RPM",
    "s": "SEC",
    "var": "D44",
    "um": "4H",
    "µm": "4H",
}


def engineering_units(unit: str) -> ua.EUInformation:
    """Return a unit with its code; the id is -1 where we know none."""
    code = CODES.get(unit)
    return ua.EUInformation(
        NamespaceUri=UNECE if code else "",
        UnitId=int.from_bytes(code.encode(), "big") if code else -1,
        DisplayName=ua.LocalizedText(unit),
        Description=ua.LocalizedText(unit),
    )
