"""Times and durations as people write them."""

import re
import time
from datetime import UTC, datetime

from lineshaft.core.reading import to_us
from lineshaft.web.api.problems import BadParameter

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_US = {"ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6, "d": 86400e6}
FIRST_US, LAST_US = 0, 253_402_300_799_000_000


def parse_duration(text: str) -> int:
    """Return a duration like `10s`, `500ms` or `1h30m` in microseconds."""
    parts = _PART.findall(text)
    whole = "".join(number + unit for number, unit in parts)
    total = round(sum(float(number) * _US[unit] for number, unit in parts))
    if not parts or whole != text or total <= 0:
        raise BadParameter(f"{text!r} is not a duration; write 500ms, 10s, 1h30m or 7d")
    return total


def parse_time(text: str) -> int:
    """Return a time as microseconds since 1970 UTC.

    `now`, a duration before it like `-5m`, or RFC 3339; without an offset it is UTC.
    """
    if text == "now":
        return time.time_ns() // 1000
    if text.startswith("-"):
        return max(time.time_ns() // 1000 - parse_duration(text[1:]), FIRST_US)
    try:
        # A plus sign in a query string arrives as a space.
        parsed = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise BadParameter(
            f"{text!r} is not a time; write now, -5m or 2026-01-31T08:00:00Z"
        ) from None
    moment = to_us(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))
    return min(max(moment, FIRST_US), LAST_US)


def parse_span(start: str, end: str) -> tuple[int, int]:
    """Return begin and end of a span, both as `parse_time` returns them."""
    start_us, end_us = parse_time(start), parse_time(end)
    if end_us <= start_us:
        raise BadParameter(f"the span ends ({end}) before it begins ({start})")
    return start_us, end_us
