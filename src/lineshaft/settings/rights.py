"""What the settings mean for who may come in; several parts of `security` make it."""

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager

from lineshaft.core.errors import ConfigError
from lineshaft.core.process.http import fetch
from lineshaft.core.reading import iso
from lineshaft.security.access.enforced import now_us
from lineshaft.security.access.policy import Policy
from lineshaft.security.access.trial import try_all
from lineshaft.security.access.versions import Version, Versions
from lineshaft.security.identity.authority import Authority
from lineshaft.security.identity.register import open_register
from lineshaft.security.people.accounts import CODE_S, SETUP, Accounts
from lineshaft.security.people.single_sign_on import SignOn
from lineshaft.security.people.store import open_store
from lineshaft.settings import Plant
from lineshaft.settings.policy import FILE, load_policy
from lineshaft.settings.secrets import read_secret

_FIRST = """\
# Who may do what. `lineshaft policy check` and `lineshaft policy test` look it over,
# and it counts from `lineshaft policy accept` on.
# docs/how-to/say-who-may-do-what.md explains every part.

[subjects.{key}]
tenant = {tenant}

[[grant]]
name = "the first account"
who = [{who}]
on = [{pattern}]
role = "administrator"
may = ["write", "command", "acknowledge", "export", "audit-read"]
note = "Made at the set-up. Give people roles of their own, then make this less."
"""


def sign_on_of(plant: Plant) -> SignOn | None:
    """Return the provider of single sign-on, if the settings name one."""
    settings = plant.settings.people.single_sign_on
    if settings is None:
        return None
    given = settings.client_secret
    secret = read_secret(given, plant.file.parent) if given else ""
    return SignOn(settings, secret, fetch)


async def give_rights(plant: Plant, account: str) -> None:
    """Write the first policy, for the first account, unless there is any."""
    file = plant.file.parent / FILE
    if file.exists() or Versions(plant.data / "policy").newest() is not None:
        return
    first = {point.name.partition("/")[0] for point, _, _ in plant.points()}
    tenant = min(first, default="plant")
    words = {
        "key": account,
        "who": account,
        "tenant": tenant,
        "pattern": f"{tenant}/**",
    }
    text = _FIRST.format_map(
        {k: json.dumps(v, ensure_ascii=False) for k, v in words.items()}
    )
    with file.open("x", encoding="utf-8") as new:
        new.write(text)
    accept_first(plant)


def accept_first(plant: Plant) -> Version | None:
    """Accept the policy beside lineshaft.toml, if there is one and none ever was.

    `ConfigError` with all that is wrong with it, also if a test inside it fails.
    """
    file, versions = plant.file.parent / FILE, Versions(plant.data / "policy")
    if not file.exists() or versions.newest() is not None:
        return None
    policy = load_policy(file)
    moment_us = now_us()
    tried = try_all(Policy(policy.document), moment_us)
    if failed := [each.sentence for each in tried if not each.holds]:
        told = "a policy counts when all its tests hold; `lineshaft policy test`"
        raise ConfigError([f"{file}: a test fails: {said}" for said in failed] + [told])
    by, note = getpass.getuser(), "accepted at the first start"
    return versions.accept(policy.text, by=by, time=iso(moment_us), note=note)


def set_up_link(plant: Plant, page: str) -> str | None:
    """Return an address where the first account is made, once; None if there is one.

    Where whoever runs the plant needs no login, a demonstration has no use for it.
    """
    if plant.settings.plant.demo and plant.settings.people.loopback == "owner":
        return None
    with open_store(plant.data / "people" / "people.sqlite") as store:
        accounts = Accounts(store)
        if accounts.all():
            return None
        code = accounts.invite("", SETUP, now_us() + int(CODE_S * 1e6))
    return f"{page}/#/set-up/{code}"


@contextmanager
def open_authority(plant: Plant) -> Iterator[Authority]:
    """Open the plant's authority; it is made if there is none."""
    home, given = plant.data / "authority", plant.settings.identity.passphrase
    passphrase = read_secret(given, plant.file.parent) if given else ""
    with open_register(home) as register:
        yield Authority(home, plant.name, register, passphrase)
