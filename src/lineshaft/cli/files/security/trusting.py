"""trust, enrol: the authority of a plant, and identities that it gives."""

import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lineshaft import settings
from lineshaft.cli import screen
from lineshaft.cli.files import telling
from lineshaft.core.errors import ConfigError
from lineshaft.security.identity import authority, client
from lineshaft.security.identity.keys import (
    Encoding,
    fingerprint,
    new_rsa_key,
    now,
    write_certificates,
    write_key,
)
from lineshaft.security.identity.register import Invited
from lineshaft.security.identity.tls import pem
from lineshaft.settings import Plant
from lineshaft.settings.rights import open_authority
from lineshaft.settings.secrets import read_secret


@dataclass(frozen=True, slots=True)
class Place:
    """The plant whose authority it is."""

    config: Path
    data: Path

    def load(self) -> Plant:
        """Return the plant as configured."""
        return settings.load(self.config, self.data, drivers=False)


def show(place: Place, *, as_json: bool) -> None:
    """Print the authority: its root, by which others know it."""
    plant = place.load()
    with open_authority(plant) as ours:
        told = {
            "plant": plant.name,
            "root": fingerprint(ours.root),
            "root_ends": f"{ours.root.not_valid_after_utc:%Y-%m-%d}",
            "issuing_ends": f"{ours.certificate.not_valid_after_utc:%Y-%m-%d}",
            "certificates": len(ours.register.all()),
            "revoked": len(list(ours.register.revoked())),
            "root_key": "here" if (place.data / "authority/root.key").exists() else
            "taken out",
        }  # fmt: skip
    if as_json:
        screen.write_json(told)
        return
    screen.table(("authority", ""), [(key, str(said)) for key, said in told.items()])


def roots(place: Place) -> None:
    """Print the roots that count, in PEM."""
    with open_authority(place.load()) as ours:
        screen.say(pem(ours.trusted).rstrip())


def invite(
    place: Place, whom: tuple[str, str, Sequence[str]], days: float, *, as_json: bool
) -> None:
    """Print a code with which somebody gets a certificate, once."""
    name, kind, hosts = whom
    if kind not in authority.KINDS:
        known = ", ".join(authority.KINDS)
        raise ConfigError(f"there is no kind {kind!r}; kinds are {known}")
    plant = place.load()
    wanted = plant.settings.identity
    with open_authority(plant) as ours:
        by = getpass.getuser()
        invited = Invited(name, kind, tuple(hosts))
        code = ours.register.invite(invited, by, now(), days)
        root = fingerprint(ours.root)
    telling.note(place.data, "identity.invited", f"{kind} {name}")
    port = wanted.port or 0
    url = f"https://{wanted.names[0]}:{port or 'PORT'}"
    if as_json:
        told = {"name": name, "kind": kind, "code": code, "url": url, "root": root}
        screen.write_json(told)
        return
    screen.say(
        f"lineshaft enrol {name} --server {url} --code {code} --fingerprint {root}"
    )
    if not port:
        screen.complain("the plant does not listen yet: set [identity] port and start")
    screen.complain(f"run this on the machine; it works once, within {days:g} days")


def certificates(place: Place, *, as_json: bool) -> None:
    """Print what was issued."""
    with open_authority(place.load()) as ours:
        found = ours.register.all()
    if as_json:
        screen.write_json(
            [
                {
                    "serial": each.serial, "name": each.name, "kind": each.kind,
                    "state": each.state, "ends": each.ends.isoformat(),
                    "reason": each.reason, "fingerprint": each.fingerprint,
                }
                for each in found
            ]
        )  # fmt: skip
        return
    rows = [
        (each.name, each.kind, _state(each.state, each.reason), f"{each.ends:%Y-%m-%d}",
         each.serial)
        for each in found
    ]  # fmt: skip
    screen.table(("name", "kind", "state", "ends", "serial number"), rows)


def revoke(place: Place, what: str, reason: str, *, as_json: bool) -> None:
    """Let the certificates of a name, or one by its number, count no more."""
    with open_authority(place.load()) as ours:
        gone = ours.register.revoke(what, reason, now())
    for each in gone:
        telling.note(
            place.data, "identity.revoked", f"{each.kind} {each.name}", each.serial
        )
    if as_json:
        screen.write_json([{"serial": each.serial, "name": each.name} for each in gone])
        return
    screen.say(f"{len(gone)} certificates of {what} count no more")


def revoked(place: Place, file: Path) -> None:
    """Write the list of revoked certificates, in DER."""
    with open_authority(place.load()) as ours:
        file.write_bytes(ours.revoked())
    screen.say(f"{file}: counts for {authority.CRL_DAYS} days")


def take_root_out(place: Place, file: Path) -> None:
    """Move the root's key out of the plant, to be kept where no network is."""
    key = place.data / "authority" / "root.key"
    if not key.exists():
        raise ConfigError(f"{key} is not there: it was taken out already")
    if file.exists():
        raise ConfigError(f"{file} is there already; nothing was moved")
    file.touch(mode=0o600)
    file.write_bytes(key.read_bytes())
    key.unlink()
    telling.note(place.data, "identity.root-taken-out", str(file))
    screen.say(f"the root's key is in {file} only; keep it where no network is")


def rekey(place: Place, *, as_json: bool) -> None:
    """Make a new authority in place of a lost or stolen one."""
    plant = place.load()
    given = plant.settings.identity.passphrase
    passphrase = read_secret(given, plant.file.parent) if given else ""
    authority.replace(place.data / "authority", plant.name, passphrase)
    telling.note(place.data, "identity.rekeyed", plant.name)
    show(place, as_json=as_json)
    screen.complain(
        "start the plant anew; machines fetch the new root when they renew, and what "
        "the old one issued counts until then. Was its key stolen, then revoke all"
    )


def opcua(place: Place, folder: Path, hosts: Sequence[str], *, as_json: bool) -> None:
    """Write our application certificate for OPC UA, and what servers must trust."""
    plant = place.load()
    key = new_rsa_key()
    files = {
        "certificate": folder / "lineshaft.pem",
        "private_key": folder / "lineshaft.key",
        "issuers": folder / "issuers",
    }
    if files["private_key"].exists():
        raise ConfigError(f"there is {files['private_key']} already; move it away")
    with open_authority(plant) as ours:
        name, days = "lineshaft", plant.settings.identity.device_days
        uri = authority.urn(plant.name, authority.Wish(name, "app"))
        wish = authority.Wish(name, "app", tuple(hosts), days, uri)
        made = ours.issue(authority.request_for(name, key), wish)
        write_key(files["private_key"], key)
        write_certificates(files["certificate"], made)
        (files["issuers"] / "certs").mkdir(parents=True, exist_ok=True)
        (files["issuers"] / "crl").mkdir(exist_ok=True)
        for number, each in enumerate(ours.chain):
            file = files["issuers"] / "certs" / f"{('issuing', 'root')[number]}.der"
            file.write_bytes(each.public_bytes(Encoding.DER))
        (files["issuers"] / "crl" / "issuing.crl").write_bytes(ours.revoked())
    telling.note(place.data, "identity.issued", f"app {name}", uri)
    if as_json:
        told = {key_: str(file) for key_, file in files.items()}
        screen.write_json(told | {"application_uri": uri})
        return
    screen.say(
        f'certificate = "{files["certificate"]}"\n'
        f'private_key = "{files["private_key"]}"'
    )
    screen.complain(
        f"the application is {uri}; give {files['issuers']} to the servers that shall "
        "trust it"
    )


def enrol(
    name: str, server: str, code: str, told: str, home: Path, *, as_json: bool
) -> None:
    """Get a certificate for this machine with a code."""
    file = client.enrol(server, (name, code), told, home)
    _tell_enrolled(file, as_json=as_json)


def renew(server: str, home: Path, *, as_json: bool) -> None:
    """Get another certificate by showing the present one."""
    _tell_enrolled(client.renew(server, home), as_json=as_json)


def _tell_enrolled(file: Path, *, as_json: bool) -> None:
    if as_json:
        key, roots = file.with_name(client.KEY), file.with_name(client.ROOTS)
        screen.write_json(
            {"certificate": str(file), "key": str(key), "trusted": str(roots)}
        )
    else:
        screen.say(f"{file} with its key and the roots to trust beside it")


def _state(state: str, reason: str) -> str:
    return f"{state}: {reason}" if reason else state
