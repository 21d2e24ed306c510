"""How long something is kept, as people write it: 90d, 12h, 5y."""

import re

_SECONDS = {"h": 3_600, "d": 86_400, "w": 7 * 86_400, "y": 366 * 86_400}
_WRITTEN = re.compile(r"([1-9]\d{0,5})([hdwy])")


def seconds_of(text: str) -> int:
    """Return the seconds of a duration; `ValueError` says how one is written.

    A year has 366 days here: what is kept for a year must not go a day too early.
    """
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not a duration; write a number and h, d, w or y, like 90d"
        )
    return int(found[1]) * _SECONDS[found[2]]
