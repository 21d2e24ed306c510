"""The fields of an event that we ask for, and what they mean.

Each is selected by the type that defines it and its browse path (IEC 62541-4, 7.22.3);
a field that an event does not have comes as nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from asyncua import ua

from lineshaft.core.event import Severity
from lineshaft.core.reading import to_us
from lineshaft.network.drivers.opcua.security import Settings
from lineshaft.network.drivers.opcua.wire.values import Scalar, Unfit

_EVENT, _CONDITION, _ACKNOWLEDGEABLE, _ALARM = 2041, 2782, 2881, 2915
_FIELDS: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    ("event_id", _EVENT, ("EventId",)),
    ("type", _EVENT, ("EventType",)),
    ("source_node", _EVENT, ("SourceNode",)),
    ("source", _EVENT, ("SourceName",)),
    ("time", _EVENT, ("Time",)),
    ("message", _EVENT, ("Message",)),
    ("severity", _EVENT, ("Severity",)),
    ("condition_id", _CONDITION, ()),
    ("condition", _CONDITION, ("ConditionName",)),
    ("branch", _CONDITION, ("BranchId",)),
    ("retain", _CONDITION, ("Retain",)),
    ("enabled", _CONDITION, ("EnabledState", "Id")),
    ("comment", _CONDITION, ("Comment",)),
    ("user", _CONDITION, ("ClientUserId",)),
    ("acknowledged", _ACKNOWLEDGEABLE, ("AckedState", "Id")),
    ("confirmed", _ACKNOWLEDGEABLE, ("ConfirmedState", "Id")),
    ("active", _ALARM, ("ActiveState", "Id")),
)
"""Name, defining type (a number of the standard) and browse path of each field."""
_OF_EVERY_EVENT = 7
_NO_BRANCH = "i=0"
Detail = dict[str, str | int | float | bool | None]


def filter_of(*, all_fields: bool) -> tuple[ua.EventFilter, int]:
    """Return the filter that selects our fields, and how many they are."""
    chosen = _FIELDS if all_fields else _FIELDS[:_OF_EVERY_EVENT]
    clauses = [
        ua.SimpleAttributeOperand(
            TypeDefinitionId=ua.NodeId(kind),
            BrowsePath=[ua.QualifiedName(name, 0) for name in path],
            # A condition without a path means its own node id (IEC 62541-9, 5.5.2).
            AttributeId=ua.AttributeIds.Value if path else ua.AttributeIds.NodeId,
        )
        for _, kind, path in chosen
    ]
    return ua.EventFilter(SelectClauses=clauses), len(clauses)


@dataclass(frozen=True, slots=True)
class Fields:
    """What one event says; a field of the wrong sort counts as missing."""

    values: dict[str, Scalar]

    @classmethod
    def of(cls, values: Sequence[Scalar]) -> Self:
        """Return the fields with their names."""
        names = (name for name, _, _ in _FIELDS)
        return cls(
            {
                name: None if isinstance(value, Unfit) else value
                for name, value in zip(names, values, strict=False)
            }
        )

    def text(self, name: str) -> str:
        """Return a field that is a text, or an empty one."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def truth(self, name: str) -> bool | None:
        """Return a field that is true or false, or None."""
        value = self.values.get(name)
        return value if isinstance(value, bool) else None

    @property
    def type(self) -> str:
        """Return the node id of its event type."""
        return self.text("type")

    @property
    def source(self) -> str:
        """Return the name of what it happened to."""
        return self.text("source")

    @property
    def message(self) -> str:
        """Return what happened, in words."""
        return self.text("message")

    @property
    def condition(self) -> str:
        """Return the name of the condition, such as `HighTemperature`."""
        return self.text("condition")

    @property
    def is_alarm(self) -> bool:
        """Whether it tells the state of a condition (IEC 62541-9, 4.2)."""
        return bool(self.text("condition_id"))

    @property
    def time_us(self) -> int | None:
        """Return when it happened; None if it does not say so."""
        try:
            return to_us(datetime.fromisoformat(self.text("time")))
        except (ValueError, TypeError):
            return None  # a text that is no time, or one without a zone

    @property
    def identity(self) -> str:
        """Return what is the same when it is told again (IEC 62541-5, 6.4.2)."""
        known = self.text("event_id")
        if not known:
            known = f"{self.text('time')}:{self.text('source_node')}:{self.message}"
        # A server may tell the state of a condition under the event's old id.
        states = [self.truth(name) for name in ("active", "acknowledged", "confirmed")]
        told = "".join("-" if each is None else str(int(each)) for each in states)
        return f"{known}:{told}"

    def detail(self) -> Detail:
        """Return what is worth keeping beside text, source and time."""
        branch = self.text("branch")
        told: Detail = {
            "source": self.source,
            "source_node": self.text("source_node"),
            "type": self.type,
            "event_id": self.text("event_id"),
            "opc_severity": self._number("severity"),
            "condition": self.text("condition_id"),
            "condition_name": self.condition,
            "branch": "" if branch == _NO_BRANCH else branch,
            "comment": self.text("comment"),
            "user": self.text("user"),
        }
        told |= {
            name: self.truth(name)
            for name in ("active", "acknowledged", "confirmed", "enabled", "retain")
        }
        return {name: value for name, value in told.items() if value not in {"", None}}

    def _number(self, name: str) -> int | None:
        value = self.values.get(name)
        return value if isinstance(value, int) else None


def severity_of(fields: Fields, settings: Settings) -> Severity:
    """Return how much attention it deserves; an alarm that is over is for information.

    `settings` divide the 1 to 1000 of IEC 62541-5, 6.4.2.
    """
    if fields.truth("active") is False:
        return Severity.INFO
    number = fields.values.get("severity")
    if not isinstance(number, int) or number < settings.warning_from:
        return Severity.INFO
    return Severity.ERROR if number >= settings.error_from else Severity.WARNING
