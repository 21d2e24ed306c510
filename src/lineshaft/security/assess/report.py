"""The report: every requirement, and which security level is not shown."""

import tomllib
from collections.abc import Callable
from html import escape
from pathlib import Path
from types import ModuleType

import msgspec

from lineshaft.security.assess import access, integrity, network, use
from lineshaft.security.assess.seen import Finding, Seen, Status

_FILE = Path(__file__).with_name("requirements.toml")
LEVELS = (1, 2, 3, 4)
NOT_CLAIMED = (
    "This is no certificate, and no security level is claimed: requirement "
    "enhancements are not looked at, and the levels marked ? were not compared with "
    "the text of the standard."
)


class Assessed(msgspec.Struct, frozen=True):
    """A requirement and what was found."""

    id: str
    name: str
    status: Status
    evidence: str
    level: int
    """The security level that first asks for it."""
    is_level_sure: bool


class _Requirement(msgspec.Struct, frozen=True):
    id: str
    name: str
    level: int
    sure: bool


def assess(seen: Seen) -> list[Assessed]:
    """Return all 51 requirements in the order of the standard."""
    table = tomllib.loads(_FILE.read_text("utf-8"))["requirement"]
    found = []
    for each in msgspec.convert(table, list[_Requirement]):
        finding = judge(each.id)(seen)
        found.append(
            Assessed(
                each.id,
                each.name,
                finding.status,
                finding.evidence,
                each.level,
                each.sure,
            )
        )
    return found


def judge(number: str) -> Callable[[Seen], Finding]:
    """Return the function that judges a requirement, such as `SR 1.1`."""
    first, second = number.removeprefix("SR ").split(".")
    rooms: dict[str, ModuleType] = {"1": access, "2": use, "3": integrity}
    room = rooms.get(first, integrity if first == "4" else network)
    found: Callable[[Seen], Finding] = getattr(room, f"sr_{first}_{second}")
    return found


def missing(found: list[Assessed], level: int) -> list[str]:
    """Return what is not met of what a security level asks for."""
    wanted = (each for each in found if each.level <= level)
    return [each.id for each in wanted if each.status in (Status.NOT, Status.PARTLY)]


def html(found: list[Assessed], plant: str, when: str) -> str:
    """Return the report as one page that needs nothing else."""
    rows = "".join(
        f'<tr><th scope="row">{each.id}</th><td>{escape(each.name)}</td>'
        f'<td class="{each.status}">{each.status}</td><td>{escape(each.evidence)}</td>'
        f"<td>{each.level}{'' if each.is_level_sure else '?'}</td></tr>\n"
        for each in found
    )
    levels = "".join(
        f"<li>SL {level}: {escape(', '.join(missing(found, level))) or 'none'}</li>"
        for level in LEVELS
    )
    counts = ", ".join(
        f"{sum(each.status is status for each in found)} {status}" for status in Status
    )
    return _PAGE.format(
        plant=escape(plant), when=escape(when), counts=counts, rows=rows,
        levels=levels, claim=NOT_CLAIMED,
    )  # fmt: skip


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{plant}: IEC 62443-3-3</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }}
body {{ max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: start; vertical-align: top; padding: .4rem .8rem .4rem 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }}
th[scope=row] {{ white-space: nowrap; }}
.met {{ color: light-dark(#12652f, #7ddb9a); font-weight: 650; }}
.partly {{ color: light-dark(#7a4b00, #f0c060); font-weight: 650; }}
.not {{ color: light-dark(#a61b1b, #ff9c9c); font-weight: 650; }}
</style></head><body>
<h1>{plant}</h1>
<p>IEC 62443-3-3, seen on {when}: {counts}.</p>
<p>{claim}</p>
<table><thead><tr><th scope="col">Number</th><th scope="col">Requirement</th>
<th scope="col">Status</th><th scope="col">Evidence</th><th scope="col">From SL</th>
</tr></thead><tbody>
{rows}</tbody></table>
<h2>Not met of what each security level asks for</h2>
<ul>{levels}</ul>
</body></html>
"""
