"""people: accounts, sessions and tokens, in the file that the plant keeps them in.

It works while the plant runs and while it does not; what is ended is ended for the next
request. Whoever may write these files may do all this, so it is written down as them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lineshaft import settings
from lineshaft.cli import screen
from lineshaft.cli.files import telling
from lineshaft.core.errors import ConfigError, NotFound, Refused
from lineshaft.core.name import did_you_mean
from lineshaft.core.reading import iso
from lineshaft.security.access.enforced import now_us
from lineshaft.security.access.roles import Action
from lineshaft.security.people.accounts import CODE_S, INVITATION, SETUP, Accounts
from lineshaft.security.people.sessions import Sessions
from lineshaft.security.people.store import open_store
from lineshaft.security.people.tokens import Tokens

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """The plant whose people they are."""

    config: Path
    data: Path

    @property
    def home(self) -> Path:
        """Return where they are kept; `NotFound` before the first start."""
        home = self.data / "people"
        if not home.exists():
            raise NotFound(
                f"{home} does not exist: no plant was started with this data directory "
                "yet; name the right one with --data"
            )
        return home


def accounts(place: Place, *, as_json: bool) -> None:
    """Print every account."""
    with open_store(place.home / "people.sqlite") as store:
        found = Accounts(store).all()
    if as_json:
        screen.write_json([msgspec.to_builtins(account) for account in found])
        return
    rows = [
        (
            each.name,
            "disabled" if each.disabled else "",
            ", ".join(
                way
                for way, has in {
                    "password": each.has_password,
                    "codes": each.has_codes,
                    "passkey": bool(each.passkeys),
                    each.issuer: bool(each.issuer),
                }.items()
                if has
            ),
            iso(each.seen_us)[:19] if each.seen_us else "never",
        )
        for each in found
    ]
    screen.table(("account", "state", "proved by", "logged in last"), rows)


def invite(place: Place, name: str, *, new: bool, as_json: bool) -> None:
    """Make an account if it is `new`; print a code with which a password is set."""
    with open_store(place.home / "people.sqlite") as store:
        known = Accounts(store)
        if new:
            known.make(name, now_us())
        known.get(name)
        until_us = now_us() + int(CODE_S * 1e6)
        code = known.invite(name, INVITATION, until_us)
    telling.note(place.data, "account.made" if new else "account.invited", name)
    _tell_code(name, "invited", code, as_json=as_json)


def set_up(place: Place, *, as_json: bool) -> None:
    """Print a new code with which the first account is made."""
    with open_store(place.home / "people.sqlite") as store:
        known = Accounts(store)
        if known.all():
            raise Refused("there are accounts already; `lineshaft people add NAME`")
        code = known.invite("", SETUP, now_us() + int(CODE_S * 1e6))
    telling.note(place.data, "account.set-up-invited", "")
    _tell_code("", "set-up", code, as_json=as_json)


def disable(place: Place, name: str, *, disabled: bool) -> None:
    """Let nobody log in to an account, or let them again."""
    with open_store(place.home / "people.sqlite") as store:
        Accounts(store).disable(name, disabled=disabled)
    word = "disabled" if disabled else "enabled"
    telling.note(place.data, f"account.{word}", name)
    screen.say(f"{name} is {word}")


def remove(place: Place, name: str) -> None:
    """Remove an account; its name is never given again."""
    with open_store(place.home / "people.sqlite") as store:
        Accounts(store).remove(name, now_us())
    telling.note(place.data, "account.removed", name)
    screen.say(f"{name} is removed")


def sessions(place: Place, *, as_json: bool) -> None:
    """Print the open sessions."""
    people = settings.load(place.config, place.data, drivers=False).settings.people
    with open_store(place.home / "people.sqlite") as store:
        found = Sessions(store, people).all(now_us())
    if as_json:
        screen.write_json([msgspec.to_builtins(session) for session in found])
        return
    rows = [
        (s.id[:12], s.account, s.how, iso(s.made_us)[:19], s.origin, s.agent[:30])
        for s in found
    ]
    screen.table(("id", "account", "by", "since", "from", "program"), rows)


def end(place: Place, what: str) -> None:
    """End the sessions of an account, or what has an id that begins so."""
    people = settings.load(place.config, place.data, drivers=False).settings.people
    with open_store(place.home / "people.sqlite") as store:
        open_ones, tokens = Sessions(store, people), Tokens(store)
        mine = [s.id for s in open_ones.all(now_us()) if _means(what, s.id, s.account)]
        others = [t.id for t in tokens.all() if _means(what, t.id, "")]
        for number in mine:
            open_ones.end(number)
        for number in others:
            tokens.end(number)
    if not mine and not others:
        raise NotFound(f"no session or token belongs to {what!r} or begins so")
    telling.note(place.data, "session.ended", what)
    screen.say(f"{len(mine)} sessions and {len(others)} tokens ended")


def token(
    place: Place,
    subject: str,
    label: str,
    scope: tuple[Sequence[str], Sequence[str], float],
    *,
    as_json: bool,
) -> None:
    """Make a token; `scope` are actions, patterns of names, and days."""
    wanted, places, days = scope
    actions = [_action(each) for each in wanted]
    now = now_us()
    with open_store(place.home / "people.sqlite") as store:
        by = telling.who()
        until = (now, now + int(days * DAY_US))
        secret, made = Tokens(store).make(subject, label, (actions, places), until, by)
    telling.note(place.data, "token.made", subject, label)
    if as_json:
        screen.write_json({"secret": secret, "token": msgspec.to_builtins(made)})
        return
    screen.say(secret)
    screen.complain(
        f"until {iso(made.until_us)[:19]}; it is shown this once. Programs send it as "
        "`Authorization: Bearer`, the command line takes it from LINESHAFT_TOKEN"
    )


def tokens(place: Place, *, as_json: bool) -> None:
    """Print the tokens, without their secrets."""
    with open_store(place.home / "people.sqlite") as store:
        found = Tokens(store).all()
    if as_json:
        screen.write_json([msgspec.to_builtins(token) for token in found])
        return
    rows = [
        (t.id[:12], t.subject, t.label, ", ".join(t.actions), ", ".join(t.places),
         iso(t.until_us)[:19])
        for t in found
    ]  # fmt: skip
    screen.table(("id", "subject", "label", "may", "on", "until"), rows)


def _means(what: str, number: str, account: str) -> bool:
    return account == what or (len(what) >= 8 and number.startswith(what))  # noqa: PLR2004  enough to be sure


def _tell_code(name: str, word: str, code: str, *, as_json: bool) -> None:
    if as_json:
        screen.write_json({"name": name, "code": code, "path": f"/#/{word}/{code}"})
        return
    screen.say(f"/#/{word}/{code}")
    screen.complain(
        "open this behind the address of the page, such as http://127.0.0.1:8080; it "
        "works once, within a day"
    )


def _action(word: str) -> Action:
    try:
        return Action(word)
    except ValueError as error:
        known = [action.value for action in Action]
        raise ConfigError(
            f"there is no action {word!r}; actions are {', '.join(known)}"
            + did_you_mean(word, known)
        ) from error
