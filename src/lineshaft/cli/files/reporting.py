"""data report, data leak-report: what a regulator asks for."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from lineshaft import settings
from lineshaft.cli import screen
from lineshaft.core.bus.audit import AuditRecord
from lineshaft.core.errors import ConfigError
from lineshaft.core.name import place_of
from lineshaft.core.reading import from_us, iso
from lineshaft.security.audit.reading import home_of, records, steadily
from lineshaft.security.data.catalogue import Entry, catalogue
from lineshaft.security.data.gate import Gate, Stage
from lineshaft.security.data.labels import Labels
from lineshaft.security.data.reports.filed import changes, read_filed, write_filed
from lineshaft.security.data.reports.leak import deadlines, form
from lineshaft.security.data.reports.sheet import Language, Row, Sheet, rows_of, say
from lineshaft.settings import Plant
from lineshaft.web.api.past.times import parse_time

Kind = Literal["catalogue", "processing", "export"]
Form = Literal["table", "csv", "json", "html"]
_FILED = "data"


def report(
    config: Path, data: Path, kind: Kind, form: Form, language: Language
) -> None:
    """Print a report."""
    plant = _labelled(config, data)
    made = {"catalogue": _catalogue, "processing": _processing, "export": _export}
    _show(made[kind](plant, data), form, language)


def file(config: Path, data: Path) -> None:
    """Keep the catalogue as the one that was announced."""
    write_filed(data / _FILED, _entries(_labelled(config, data)), _now())
    screen.say("kept; `lineshaft data report catalogue` says how far it changes")


def leak(
    config: Path,
    data: Path,
    place: str,
    told: tuple[str, str, Language],
) -> None:
    """Print the form for a leak; `told` is when, the region and the language."""
    plant = _labelled(config, data)
    wanted = plant.settings.data
    assert wanted is not None  # noqa: S101  _labelled saw to it
    when, region, language = told
    discovered = from_us(parse_time(when)) if when else datetime.now(UTC)
    names = [point.name for point, _, _ in plant.points()]
    inside = [n for n in names if n == place or n.startswith(f"{place}/")]
    label = wanted.labels.together(inside or [place])
    due = deadlines(region or wanted.region)
    text = form(place, str(label) if label else "", discovered, due, language)
    screen.write_bytes(text.encode())


def _labelled(config: Path, data: Path) -> Plant:
    plant = settings.load(config, data, drivers=False)
    if plant.settings.data is None:
        raise ConfigError(
            f"{config} has no table [data]: nothing is labelled, and there is nothing "
            "to report; see docs/how-to/label-the-data.md"
        )
    return plant


def _labels(plant: Plant) -> Labels:
    wanted = plant.settings.data
    return wanted.labels if wanted else Labels([])


def _entries(plant: Plant) -> list[Entry]:
    return catalogue(_labels(plant), [point.name for point, _, _ in plant.points()])


def _catalogue(plant: Plant, data: Path) -> Sheet:
    entries = _entries(plant)
    rows: list[Row] = [
        (e.place, e.points, e.grade, "; ".join(e.classes)) for e in entries
    ]
    columns = ("place", "points", "grade", "classes")
    notes = tuple(_changes(entries, data))
    return Sheet("catalogue", _now(), plant.name, columns, rows_of(rows), notes)


def _changes(entries: list[Entry], data: Path) -> Iterator[str]:
    filed = read_filed(data / _FILED)
    if filed is None:
        yield "no catalogue was announced; `lineshaft data file-catalogue` keeps one"
        return
    for each in changes(filed, entries):
        told = (
            f"{each.what}: {each.before} points announced {filed.when}, {each.now} now"
        )
        due = ": 30 % or more, announce it again" if each.is_significant else ""
        yield f"{told} ({each.share:.0%}){due}"


def _processing(plant: Plant, data: Path) -> Sheet:
    del data
    labels, northbound = _labels(plant), plant.settings.northbound.services
    names = [point.name for point, _, _ in plant.points()]
    wanted, now = plant.settings.data, datetime.now(UTC)
    passed = Gate(wanted).sift(Stage.TRANSFER, names, now) if wanted else set()
    rows: set[Row] = set()
    for point, device, driver in plant.points():
        label = labels.of(point.name)
        told = (place_of(point.name), label.grade.word if label else "")
        begin = "process" if driver == "computed" else "collect"
        rows.add((begin, *told, device, driver))
        rows.add(("store", *told, "historian", "Delta Lake, Parquet; not sealed"))
        if point.name in passed:
            rows |= {("transfer", *told, name, "allowed") for name in northbound}
    columns = ("stage", "place", "grade", "by", "how")
    return Sheet("processing", _now(), plant.name, columns, rows_of([*rows]))


def _export(plant: Plant, data: Path) -> Sheet:
    records = decisions(data)
    rows: list[Row] = [
        (
            iso(each.time_us) or "",
            each.who,
            each.kind.removeprefix("data."),
            each.name,
            str(each.detail.get("label", "")),
            str(each.detail.get("outcome", each.result)),
            str(each.detail.get("approval", "")),
        )
        for each in records
    ]
    columns = ("time", "who", "stage", "what", "label", "outcome", "approval")
    return Sheet("export", _now(), plant.name, columns, tuple(rows))


def decisions(data: Path) -> list[AuditRecord]:
    """Return every record about data that the audit log has, the oldest first.

    The plant may run or not. `NotFound` if it never ran.
    """
    home = home_of(data)

    def about_data(size: int) -> list[AuditRecord]:
        every = records(home, size)
        return [record for record in every if record.kind.startswith("data.")]

    return steadily(home, about_data)


def _show(sheet: Sheet, form: Form, language: Language) -> None:
    if form == "json":
        screen.write_json(sheet.json())
    elif form == "csv":
        screen.write_bytes(sheet.csv(language).encode())
    elif form == "html":
        screen.write_bytes(sheet.html(language).encode())
    else:
        columns = [say(key, language) for key in sheet.columns]
        screen.table(columns, sheet.rows)
        for note in sheet.notes:
            screen.say(note)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
