"""Verbs that deal with one device."""

import asyncio

from lineshaft.cli.verbs.app import FILES, Files, app, wait


@app.command
def doctor(
    address: str | None = None, *, where: Files = FILES, json: bool = False
) -> int:
    """Find the usual troubles, or walk to a device step by step.

    Example: `lineshaft doctor`, `lineshaft doctor opc.tcp://127.0.0.1:4840`

    Parameters
    ----------
    address
        The device to walk to.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.machines import doctor as surgery
    from lineshaft.cli.machines.walking import walk

    if address is None:
        return surgery.run(where.config, where.data, as_json=json)
    return asyncio.run(walk(address, as_json=json))


@app.command
def browse(address: str, *, select: str = "*", json: bool = False) -> None:
    """Show what a device has, with its values now.

    Example: `lineshaft browse modbus://127.0.0.1:5020/1?area=input&first=0&last=9`

    Parameters
    ----------
    address
        Where the device is.
    select
        Only what matches, such as `*/Press1/*`.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.machines import adding

    wait(adding.browse(address, select, as_json=json))


@app.command
def add(
    address: str,
    *,
    where: Files = FILES,
    name: str | None = None,
    place: str | None = None,
    select: str = "*",
    yes: bool = False,
    replace: bool = False,
) -> None:
    """Show what a device has, then add it to lineshaft.toml.

    Example: `lineshaft add opc.tcp://127.0.0.1:4840 --place acme/osaka/press/1`

    Parameters
    ----------
    address
        Where the device is.
    name
        What to call the device.
    place
        Where its points are in the plant.
    select
        Only what matches.
    yes
        Write without asking.
    replace
        Replace a device of that name.

    """
    from lineshaft.cli.machines import adding

    wanted = (name, place, select)
    wait(adding.add(address, where.config, wanted, yes=yes, replace=replace))
