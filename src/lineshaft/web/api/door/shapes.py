"""What the API says of people: their logins, sessions, tokens and approvals."""

from typing import Annotated

import msgspec

from lineshaft.core.reading import iso
from lineshaft.security.access.approvals import Request
from lineshaft.security.access.roles import Action
from lineshaft.security.people.accounts import Account
from lineshaft.security.people.sessions import Session
from lineshaft.security.people.tokens import Token
from lineshaft.web.api.door.callers import Caller

Text = Annotated[str, msgspec.Meta(max_length=300)]
Large = Annotated[str, msgspec.Meta(max_length=40_000)]


class Doors(msgspec.Struct, frozen=True):
    """How one can log in here."""

    banner: str
    """To be read before."""
    single_sign_on: str
    """The provider that may be asked; empty if there is none."""
    loopback: str
    second_factor: str


class WhoAmI(msgspec.Struct, frozen=True):
    """Who the caller is, or that nobody knows."""

    subject: str
    """Empty: nobody is logged in."""
    how: str
    lacks: str
    """What must be done before anything else, such as to change the password."""
    locked: bool
    """The session was idle for long, so it can only look on."""
    is_owner: bool
    """Whether it is who runs the plant, on this machine."""
    until: str | None
    may_manage: bool
    """Whether accounts and tokens of others can be managed."""
    doors: Doors


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name and what proves it."""

    name: Text
    password: Text
    code: Annotated[str, msgspec.Meta(max_length=12)] = ""
    """Of the authenticator app, if the account has one."""


class Invited(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code of a set-up or an invitation, and the password that is taken with it."""

    code: Text
    password: Text
    name: Text = ""
    """Of the first account, at the set-up only."""


class Unlock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The password of the session's owner."""

    password: Text


class NewPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another password."""

    old: Text
    new: Text


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a browser made of a passkey request, as JSON text."""

    answer: Large
    label: Annotated[str, msgspec.Meta(max_length=60)] = ""


class Asked(msgspec.Struct, frozen=True):
    """What a page gives to its browser, as JSON text."""

    options: str


class CodesOffered(msgspec.Struct, frozen=True):
    """A new key for an authenticator app; it counts once a code has proved it."""

    key: str
    address: str
    """An `otpauth:` address, for a picture or a link."""


class CodesTaken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The key that was offered, and the first code."""

    key: Text
    code: Annotated[str, msgspec.Meta(max_length=12)]


class SessionView(msgspec.Struct, frozen=True):
    """An open session."""

    id: str
    account: str
    how: str
    since: str
    active: str
    until: str
    locked: bool
    origin: str
    agent: str
    is_this: bool


class AccountView(msgspec.Struct, frozen=True):
    """An account."""

    name: str
    has_password: bool
    has_codes: bool
    passkeys: int
    disabled: bool
    since: str
    seen: str | None
    issuer: str


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account to be made."""

    name: Text


class AccountChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of an account."""

    disabled: bool


class Invitation(msgspec.Struct, frozen=True):
    """A code with which somebody sets a password, once, within a day."""

    name: str
    code: str
    link: str


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token to be made."""

    label: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    actions: Annotated[list[Action], msgspec.Meta(min_length=1, max_length=20)]
    places: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=50)]
    """Patterns of names."""
    days: Annotated[float, msgspec.Meta(gt=0, le=366)]
    subject: Text = ""
    """Whose rights it has; left out, the caller's own."""


class TokenView(msgspec.Struct, frozen=True):
    """A token without its secret."""

    id: str
    subject: str
    label: str
    actions: list[Action]
    places: list[str]
    since: str
    until: str
    used: str | None
    made_by: str


class TokenMade(msgspec.Struct, frozen=True):
    """A new token; its secret is shown this once."""

    secret: str
    token: TokenView


class ApprovalView(msgspec.Struct, frozen=True):
    """What somebody wants to do and needs a second person for."""

    id: str
    subject: str
    action: str
    name: str
    what: str
    state: str
    asked: str
    until: str
    decided_by: str


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a second person agrees."""

    approve: bool


class AuditView(msgspec.Struct, frozen=True):
    """A record of the audit log."""

    number: int
    kind: str
    who: str
    name: str
    result: str
    text: str
    origin: str
    time: str
    detail: dict[str, str | int | float | bool | None]


def session_view(session: Session, caller: Caller) -> SessionView:
    """Return a session as the API shows it."""
    return SessionView(
        session.id,
        session.account,
        session.how,
        iso(session.made_us),
        iso(session.active_us),
        iso(session.until_us),
        session.locked,
        session.origin,
        session.agent,
        caller.session is not None and caller.session.id == session.id,
    )


def account_view(account: Account) -> AccountView:
    """Return an account as the API shows it."""
    return AccountView(
        account.name,
        account.has_password,
        account.has_codes,
        account.passkeys,
        account.disabled,
        iso(account.made_us),
        iso(account.seen_us) if account.seen_us else None,
        account.issuer,
    )


def token_view(token: Token) -> TokenView:
    """Return a token as the API shows it."""
    return TokenView(
        token.id,
        token.subject,
        token.label,
        list(token.actions),
        list(token.places),
        iso(token.made_us),
        iso(token.until_us),
        iso(token.used_us) if token.used_us else None,
        token.made_by,
    )


def approval_view(request: Request) -> ApprovalView:
    """Return a request for a second person as the API shows it."""
    return ApprovalView(
        request.id,
        request.subject,
        request.action,
        request.name,
        request.what,
        request.state,
        iso(request.asked_us),
        iso(request.until_us),
        request.decided_by,
    )
