"""Verbs about what data are worth, who may have them, and their end."""

from pathlib import Path
from typing import Annotated, Literal

from lineshaft.cli.verbs.app import FILES, HERE, Data, Files, called, family

data = family(
    "data",
    """Show what the data are worth; seal, report and destroy them.

Example: `lineshaft data catalogue`""",
)


@data.command
def catalogue(*, where: Files = FILES, json: bool = False, csv: bool = False) -> None:
    """List every place with its points, their grade and their class.

    Example: `lineshaft data catalogue --csv`

    Parameters
    ----------
    json
        Print JSON for programs.
    csv
        Print a sheet for people.

    """
    from lineshaft.cli.files import cataloguing

    form: Literal["table", "json", "csv"] = "json" if json else "table"
    cataloguing.catalogue(where.config, where.data, "csv" if csv else form)


@data.command
def keys(*, where: Data = HERE, json: bool = False) -> None:
    """List the keys that data of this plant are sealed with; not the keys themselves.

    Example: `lineshaft data keys`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files import sealing

    sealing.keys(where.data, as_json=json)


@data.command
def encrypt(
    file: Path,
    *,
    place: str = "",
    where: Data = HERE,
    suite: Literal["aes", "sm4"] = "aes",
    out: Path | None = None,
) -> None:
    """Seal a file with the key of a place; the file itself stays.

    Example: `lineshaft data encrypt recipes.csv --place acme/osaka/oven`

    Parameters
    ----------
    file
        What is to be sealed.
    place
        Whose data it holds; left out, the whole plant's.
    suite
        The cipher: AES-256-GCM, or SM4-GCM.
    out
        Where to write it; left out, beside the file, with `.sealed` at the end.

    """
    from lineshaft.cli.files import sealing

    sealing.encrypt(where.data, file, place, suite, out)


@data.command
def decrypt(file: Path, out: Path, *, where: Data = HERE) -> None:
    """Write what a sealed file holds; nothing is written if any of it was changed.

    Example: `lineshaft data decrypt recipes.csv.sealed recipes.csv`

    Parameters
    ----------
    file
        The sealed file.
    out
        Where to write what it holds.

    """
    from lineshaft.cli.files import sealing

    sealing.decrypt(where.data, file, out)


@data.command
def describe(file: Path, *, json: bool = False) -> None:
    """Say which key opens a sealed file, and what it is worth; this takes no key.

    Example: `lineshaft data describe recipes.csv.sealed`

    Parameters
    ----------
    file
        The sealed file.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files import sealing

    sealing.describe(file, as_json=json)


@data.command
def destroy(place: str, *, why: str, where: Files = FILES, json: bool = False) -> None:
    """Destroy the keys of a place and all below: what they sealed is gone for ever.

    It prints the certificate of destruction and keeps it beside the keys.

    Example: `lineshaft data destroy acme/osaka/oven --why "contract 7 ended"`

    Parameters
    ----------
    place
        Whose keys.
    why
        The reason, for the certificate.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files import sealing

    sealing.end(where.config, where.data, place, why, as_json=json)


@data.command
def report(
    kind: Literal["catalogue", "processing", "export"],
    *,
    where: Files = FILES,
    form: Annotated[
        Literal["table", "csv", "json", "html"], called("--format")
    ] = "table",
    language: Literal["en", "ja", "zh"] = "en",
) -> None:
    """Print a report for a regulator.

    Example: `lineshaft data report catalogue --format html --language zh`

    Parameters
    ----------
    kind
        What data there are; what is done with them; what left, or was refused, as the
        audit log says.
    form
        How it is printed.
    language
        Of titles and columns; names and labels stay as they are.

    """
    from lineshaft.cli.files import reporting

    reporting.report(where.config, where.data, kind, form, language)


@data.command(name="file-catalogue")
def file_catalogue(*, where: Files = FILES) -> None:
    """Keep the catalogue as announced, so that `data report` tells how it changes.

    Example: `lineshaft data file-catalogue`
    """
    from lineshaft.cli.files import reporting

    reporting.file(where.config, where.data)


@data.command(name="leak-report")
def leak_report(
    place: str,
    *,
    where: Files = FILES,
    discovered: str = "",
    region: str = "",
    language: Literal["en", "ja", "zh"] = "en",
) -> None:
    """Print a form for a leak of data, with the deadlines of the region.

    Example: `lineshaft data leak-report acme/osaka/oven --region eu`

    Parameters
    ----------
    place
        Whose data leaked.
    discovered
        When it was found, like 2026-01-31T08:00:00Z; left out, now.
    region
        Whose deadlines: cn, eu or jp; left out, that of `[data]`.
    language
        Of the form.

    """
    from lineshaft.cli.files import reporting

    reporting.leak(where.config, where.data, place, (discovered, region, language))
