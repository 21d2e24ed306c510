"""The verb that holds this installation against IEC 62443-3-3."""

from pathlib import Path

from lineshaft.cli.verbs.app import FILES, Files, app


@app.command
def assess(
    *, where: Files = FILES, html: Path | None = None, json: bool = False
) -> None:
    """Look at this installation now, against the 51 requirements of IEC 62443-3-3.

    It claims no security level. It looks at more while the plant runs.

    Example: `lineshaft assess --html report.html`

    Parameters
    ----------
    html
        Write the report as a page to this file, too.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import assessing

    assessing.run(where.config, where.data, html, as_json=json)
