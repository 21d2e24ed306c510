"""Verbs of the plant's authority, and of machines that want an identity."""

from pathlib import Path

from lineshaft.cli.verbs.app import FILES, Files, app, family
from lineshaft.core.errors import ConfigError

trust = family(
    "trust",
    """The plant's certificate authority: who is given an identity, and who loses it.

Example: `lineshaft trust invite press-7 --kind device`""",
)


@trust.command(name="show")
def show_authority(*, where: Files = FILES, json: bool = False) -> None:
    """Show the authority and the fingerprint by which others know it.

    Example: `lineshaft trust show`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import trusting

    trusting.show(trusting.Place(where.config, where.data), as_json=json)


@trust.command(name="roots")
def print_roots(*, where: Files = FILES) -> None:
    """Print the roots that count, in PEM, for other programs to trust.

    Example: `lineshaft trust roots`
    """
    from lineshaft.cli.files.security import trusting

    trusting.roots(trusting.Place(where.config, where.data))


@trust.command(name="invite")
def invite_machine(
    name: str,
    *,
    kind: str = "device",
    host: list[str] | None = None,
    days: float = 7,
    where: Files = FILES,
    json: bool = False,
) -> None:
    """Print a code with which a machine gets a certificate, once.

    Example: `lineshaft trust invite press-7 --kind device`

    Parameters
    ----------
    name
        The subject that the policy speaks of.
    kind
        One of device, service, gateway, app, person and node.
    host
        A name or address that it listens on; repeatable.
    days
        How long the code works.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import trusting

    place = trusting.Place(where.config, where.data)
    trusting.invite(place, (name, kind, host or ()), days, as_json=json)


@trust.command(name="list")
def list_certificates(*, where: Files = FILES, json: bool = False) -> None:
    """List every certificate that was issued, and whether it counts.

    Example: `lineshaft trust list`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import trusting

    trusting.certificates(trusting.Place(where.config, where.data), as_json=json)


@trust.command(name="revoke")
def revoke_certificate(
    what: str,
    *,
    reason: str = "unspecified",
    where: Files = FILES,
    json: bool = False,
) -> None:
    """Let the certificates of a name count no more, from now on.

    Example: `lineshaft trust revoke press-7 --reason keyCompromise`

    Parameters
    ----------
    what
        A name, or the serial number of one certificate.
    reason
        Why, in the words of RFC 5280.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import trusting

    place = trusting.Place(where.config, where.data)
    trusting.revoke(place, what, reason, as_json=json)


@trust.command(name="crl")
def write_list(file: Path, *, where: Files = FILES) -> None:
    """Write the list of revoked certificates, signed now.

    Example: `lineshaft trust crl revoked.crl`

    Parameters
    ----------
    file
        Where to write it, in DER.

    """
    from lineshaft.cli.files.security import trusting

    trusting.revoked(trusting.Place(where.config, where.data), file)


@trust.command(name="take-root-out")
def take_root_out(file: Path, *, where: Files = FILES) -> None:
    """Move the root's key to where no network is; issuing goes on without it.

    Example: `lineshaft trust take-root-out /media/safe/root.key`

    Parameters
    ----------
    file
        Where to move it to.

    """
    from lineshaft.cli.files.security import trusting

    trusting.take_root_out(trusting.Place(where.config, where.data), file)


@trust.command(name="opcua")
def write_for_opcua(
    folder: Path,
    *,
    host: list[str] | None = None,
    where: Files = FILES,
    json: bool = False,
) -> None:
    """Write our application certificate for OPC UA, and what servers must trust.

    Example: `lineshaft trust opcua pki`

    Parameters
    ----------
    folder
        Where to write them; name the files in the settings of the device.
    host
        A name or address of this machine; repeatable.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import trusting

    place = trusting.Place(where.config, where.data)
    trusting.opcua(place, folder, host or (), as_json=json)


@trust.command(name="rekey")
def make_anew(*, where: Files = FILES, json: bool = False) -> None:
    """Make a new authority in place of a lost or stolen one.

    Example: `lineshaft trust rekey`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import trusting

    trusting.rekey(trusting.Place(where.config, where.data), as_json=json)


@app.command
def enrol(
    name: str = "",
    *,
    server: str,
    code: str = "",
    fingerprint: str = "",
    to: Path = Path("identity"),
    renew: bool = False,
    json: bool = False,
) -> None:
    """Get a certificate for this machine from a plant, or renew it.

    Example: `lineshaft enrol press-7 --server https://plant:8085 --code CODE
    --fingerprint SHA256`

    Parameters
    ----------
    name
        The name that the code is for.
    server
        Address of the plant's identity room.
    code
        What `lineshaft trust invite` printed.
    fingerprint
        SHA-256 of the plant's root, as it was printed with the code.
    to
        Folder for the key, the certificate and the roots.
    renew
        Show the present certificate instead of a code.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import trusting

    if renew:
        trusting.renew(server, to, as_json=json)
        return
    if not (name and code and fingerprint):
        raise ConfigError("give the name, --code and --fingerprint, or --renew")
    trusting.enrol(name, server, code, fingerprint, to, as_json=json)
