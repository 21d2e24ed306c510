"""Readings as OPC UA data values, and what clients write as values of points."""

from datetime import UTC, datetime

from asyncua import ua

from lineshaft.core.command import Outcome, Verdict
from lineshaft.core.point import Kind
from lineshaft.core.reading import Quality, Value, from_us, to_us
from lineshaft.network.northbound.mirror import Said

TYPES = {
    Kind.FLOAT: ua.VariantType.Double,
    Kind.INT: ua.VariantType.Int64,
    Kind.BOOL: ua.VariantType.Boolean,
    Kind.STRING: ua.VariantType.String,
}
_STATUS = {
    Quality.GOOD: ua.StatusCode(ua.StatusCodes.Good),
    Quality.UNCERTAIN: ua.StatusCode(ua.StatusCodes.Uncertain),
    Quality.BAD: ua.StatusCode(ua.StatusCodes.Bad),
}
_STALE = ua.StatusCode(ua.StatusCodes.UncertainNoCommunicationLastUsableValue)
_NOTHING = ua.Variant(None, ua.VariantType.Null)
_OUTCOMES = {
    Verdict.CONFIRMED: ua.StatusCodes.Good,
    Verdict.REFUSED: ua.StatusCodes.BadDeviceFailure,
    Verdict.UNKNOWN: ua.StatusCodes.BadTimeout,
}
_INTEGERS = {
    ua.VariantType.SByte,
    ua.VariantType.Byte,
    ua.VariantType.Int16,
    ua.VariantType.UInt16,
    ua.VariantType.Int32,
    ua.VariantType.UInt32,
    ua.VariantType.Int64,
    ua.VariantType.UInt64,
}
_FLOATS = {ua.VariantType.Float, ua.VariantType.Double}
TAKEN = {
    Kind.FLOAT: _FLOATS | _INTEGERS,
    Kind.INT: _INTEGERS,
    Kind.BOOL: {ua.VariantType.Boolean},
    Kind.STRING: {ua.VariantType.String},
}
"""Which types of OPC UA may be written to a point of each type."""


def data_value(said: Said, kind: Kind) -> ua.DataValue:
    """Return what a point says as OPC UA tells it, with source time and status."""
    if not said.time_us:
        status = ua.StatusCode(ua.StatusCodes.BadWaitingForInitialData)
        return ua.DataValue(_NOTHING, status, None, datetime.now(UTC))
    status = _STALE if said.is_stale else _STATUS[said.status.quality]
    value = _variant(said.value, kind)
    return ua.DataValue(value, status, from_us(said.time_us), datetime.now(UTC))


def value_of(variant: ua.Variant | None, kind: Kind) -> Value | None:
    """Return what a client writes; None when it is not of the point's type."""
    if variant is None or variant.VariantType not in TAKEN[kind] or variant.is_array:
        return None
    value: Value = variant.Value
    return float(value) if kind is Kind.FLOAT else value


def status_of(outcome: Outcome) -> ua.StatusCode:
    """Return what became of a write as a status (IEC 62541-4, 7.39)."""
    return ua.StatusCode(_OUTCOMES[outcome.verdict])


def time_of(moment: datetime) -> int:
    """Return a time of OPC UA, which has no zone and means UTC."""
    return to_us(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _variant(value: Value | None, kind: Kind) -> ua.Variant:
    if value is None:
        return _NOTHING
    return ua.Variant(value, TYPES[kind])
