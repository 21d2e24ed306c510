"""A report: a table with a title and notes, as CSV, JSON or HTML."""

import csv
import html
import io
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

Row = tuple[str | int, ...]
Language = Literal["en", "ja", "zh"]
_WORDS = Path(__file__).with_name("words.toml")


class Sheet(msgspec.Struct, frozen=True):
    """A table for somebody outside; `columns` and `title` are keys of words."""

    title: str
    made: str
    plant: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def csv(self, language: Language) -> str:
        """Return it for a spreadsheet; the first line has the columns."""
        out = io.StringIO()
        sheet = csv.writer(out, lineterminator="\n")
        sheet.writerow([say(key, language) for key in self.columns])
        sheet.writerows([_harmless(cell) for cell in row] for row in self.rows)
        return out.getvalue()

    def json(self) -> dict[str, object]:
        """Return it for programs, with the same keys in every language."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        told = {"report": self.title, "plant": self.plant, "made": self.made}
        return {**told, "rows": rows, "notes": list(self.notes)}

    def html(self, language: Language) -> str:
        """Return a page that can be printed."""
        title = html.escape(f"{self.plant}: {say(self.title, language)}")
        head = "".join(_cells("th", (say(key, language) for key in self.columns)))
        body = "\n".join(f"<tr>{''.join(_cells('td', row))}</tr>" for row in self.rows)
        notes = "\n".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return (
            f'<!doctype html>\n<html lang="{language}">\n<meta charset="utf-8">\n'
            f"<title>{title}</title>\n<style>body{{font:14px sans-serif}}"
            "table{border-collapse:collapse}td,th{border:1px solid #888;"
            "padding:4px 8px;text-align:left}</style>\n"
            f"<h1>{title}</h1>\n<p>{html.escape(self.made)}</p>\n"
            f"<table>\n<tr>{head}</tr>\n{body}\n</table>\n{notes}\n</html>\n"
        )


@cache
def words() -> Mapping[str, Mapping[str, str]]:
    """Return every word of the reports, by key and language."""
    return tomllib.loads(_WORDS.read_text("utf-8"))


def say(key: str, language: Language) -> str:
    """Return a word in a language."""
    return words()[key][language]


def _cells(tag: str, cells: Iterable[object]) -> Iterable[str]:
    return (f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells)


def _harmless(cell: str | int) -> str | int:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell


def rows_of(entries: Iterable[Row]) -> tuple[Row, ...]:
    """Return rows in the order of their cells."""
    return tuple(sorted(entries, key=lambda row: [str(cell) for cell in row]))
