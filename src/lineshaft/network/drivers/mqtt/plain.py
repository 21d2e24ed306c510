"""Plain MQTT payloads as readings: numbers, truth values, text, and JSON."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from textwrap import shorten

import msgspec

from lineshaft.core.errors import ConfigError, NotFound, Refused
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import GOOD, Status, Value, bad, to_us, uncertain
from lineshaft.network.device import Batch
from lineshaft.network.drivers.mqtt.address import Place, Plain
from lineshaft.network.drivers.mqtt.path import Json, Path, build, follow

_WORDS: Mapping[str, bool] = {
    "true": True, "on": True, "yes": True, "1": True,
    "false": False, "off": False, "no": False, "0": False,
}  # fmt: skip
_decode = msgspec.json.Decoder().decode
_SECONDS_END, _MILLIS_END, _MICROS_END = 1e11, 1e14, 1e17
"""A number below the first is seconds since 1970, below the second milliseconds, ..."""
_END_US = 253_402_300_800_000_000
_QUOTE = 40


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one point wants of the payloads of a topic."""

    position: int
    kind: Kind
    path: Path | None


class Reader:
    """Turns messages into readings; everything lands in `batch`."""

    def __init__(
        self, points: Mapping[int, tuple[Plain, Point]], time_path: Path | None
    ) -> None:
        self.batch = Batch()
        self._time_path = time_path
        self._wanted: dict[str, list[Wanted]] = {}
        for position, (address, point) in points.items():
            place = address.read
            wanted = Wanted(position, point.type, place.path)
            self._wanted.setdefault(place.topic, []).append(wanted)

    @property
    def topics(self) -> list[str]:
        """Return what must be subscribed to."""
        return list(self._wanted)

    def refuse(self, topic: str, now_us: int) -> None:
        """Say that the broker does not let us hear a topic."""
        for wanted in self._wanted[topic]:
            status = bad(f"the broker refuses that we listen to {topic}")
            self.batch.add(wanted.position, None, now_us, status)

    def hear(self, topic: str, data: bytes, now_us: int) -> None:
        """Take one message; nothing that it holds can raise."""
        document: Json = None
        fault: str | None = "unread"
        time_us, doubt = now_us, GOOD
        for wanted in self._wanted.get(topic, ()):
            if wanted.path is None:
                value, status = scalar(data, wanted.kind)
                self.batch.add(wanted.position, value, now_us, status)
                continue
            if fault == "unread":
                document, fault = _document(data)
                time_us, doubt = self._time(document, now_us)
            if fault:
                self.batch.add(wanted.position, None, now_us, bad(fault))
                continue
            value, status = _pick(document, wanted.path, wanted.kind)
            status = doubt if status is GOOD else status
            self.batch.add(wanted.position, value, time_us, status)

    def _time(self, document: Json, now_us: int) -> tuple[int, Status]:
        if self._time_path is None:
            return now_us, GOOD
        try:
            return time_of(follow(document, self._time_path)), GOOD
        except (NotFound, ValueError, OverflowError) as error:
            return now_us, uncertain(f"{error}; the time is that of arrival")


def scalar(data: bytes, kind: Kind) -> tuple[Value | None, Status]:
    """Return the value that a whole payload is, in the type of its point."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None, bad(f"{len(data)} bytes of payload are not text (UTF-8)")
    if kind is Kind.STRING:
        return text, GOOD
    words = text.strip()
    if kind is Kind.BOOL:
        found = _WORDS.get(words.lower())
        if found is None:
            return None, bad(f"the payload {_short(text)} is not true or false")
        return found, GOOD
    try:
        number = int(words) if kind is Kind.INT else float(words)
        is_finite = math.isfinite(number)
    except (ValueError, OverflowError):  # the latter: more digits than any number has
        return None, bad(f"the payload {_short(text)} is not of type {kind}")
    return (number, GOOD) if is_finite else (None, _NOT_FINITE)


_NOT_FINITE = bad("the payload is a number without a size (infinite or NaN)")


def time_of(value: Json) -> int:
    """Return a time in microseconds since 1970; `ValueError` if it is none."""
    if isinstance(value, str):
        time = datetime.fromisoformat(value)
        return to_us(time if time.tzinfo else time.replace(tzinfo=UTC))
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{_short(value)} is not a time")
    time_us = int(value * _factor(value))
    if time_us >= _END_US:
        raise ValueError(f"{_short(value)} is not a time")
    return time_us


def payload_for(place: Place, value: Value) -> bytes:
    """Return what to publish; `Refused` if it cannot be written there."""
    if place.path is None and isinstance(value, str):
        return value.encode()
    try:
        return msgspec.json.encode(build(place.path or (), value))
    except ConfigError as error:
        raise Refused(str(error)) from error


def check_value(value: Value, kind: Kind) -> None:
    """Raise `Refused` for a value that a point of this type can never have."""
    fits = {
        Kind.BOOL: isinstance(value, bool),
        Kind.STRING: isinstance(value, str),
        Kind.INT: isinstance(value, int) and not isinstance(value, bool),
        Kind.FLOAT: isinstance(value, int | float) and not isinstance(value, bool),
    }
    if not fits[kind]:
        raise Refused(f"{_short(value)} is not of type {kind}, so it was not sent")


def _document(data: bytes) -> tuple[Json, str | None]:
    try:
        document: Json = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return None, f"the payload is not JSON: {error}"
    except RecursionError:
        return None, "the payload is JSON that is nested too deep"
    return document, None


def _pick(document: Json, path: Path, kind: Kind) -> tuple[Value | None, Status]:
    try:
        found = follow(document, path)
    except NotFound as error:
        return None, bad(str(error))
    if found is None:
        return None, bad("the payload says null: there is no value")
    if isinstance(found, list | dict):
        return None, bad("the path leads to an object or a list, not to one value")
    if isinstance(found, str) and kind is not Kind.STRING:
        # Many devices send their numbers as text.
        return scalar(found.encode(errors="replace"), kind)
    if kind is Kind.STRING and not isinstance(found, str):
        return msgspec.json.encode(found).decode(), GOOD
    return found, GOOD


def _factor(value: float) -> float:
    if value < _SECONDS_END:
        return 1_000_000
    if value < _MILLIS_END:
        return 1000
    return 1 if value < _MICROS_END else 0.001


def _short(value: object) -> str:
    return shorten(repr(value), _QUOTE, placeholder="...")
