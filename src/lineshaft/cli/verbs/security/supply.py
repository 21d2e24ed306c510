"""Verbs that say what is installed here, and whether it is still that."""

from pathlib import Path

from lineshaft.cli.verbs.app import app


@app.command
def sbom(*, requirements: Path | None = None, out: Path | None = None) -> None:
    """Print the bill of materials (CycloneDX 1.6): what Lineshaft is made of here.

    Example: `lineshaft sbom --out lineshaft.cdx.json`

    Parameters
    ----------
    requirements
        List what this file pins, with its hashes, instead of what is installed.
    out
        The file to write; left out, it is printed.

    """
    from lineshaft.cli.files.security import supplying

    supplying.sbom(requirements, out)


@app.command
def verify(*, json: bool = False) -> int:
    """Compare every installed file with what was installed; name those that differ.

    0: all the same; 1: some differ; 2: there is nothing to compare with.

    Example: `lineshaft verify`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import supplying

    return supplying.verify(as_json=json)


@app.command(name="verify-release")
def verify_release(folder: Path, *, key: str, json: bool = False) -> None:
    """Verify the signature and the hashes of a release before it is installed.

    Example: `lineshaft verify-release dist --key lineshaft.pub`

    Parameters
    ----------
    folder
        Where its files are: wheel, sources, SBOM, SHA256SUMS, SHA256SUMS.minisig.
    key
        The public key of whoever releases: its file, or its line.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import supplying

    supplying.check_release(folder, key, as_json=json)


@app.command
def listeners(*, json: bool = False) -> None:
    """List every port that Lineshaft can open, with its setting. There are no others.

    Example: `lineshaft listeners`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import supplying

    supplying.listeners(as_json=json)
