"""Who calls: the owner of the plant on this machine, a session, or a token."""

import getpass
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from lineshaft.core.errors.codes import Code
from lineshaft.core.process.loopback import is_loopback
from lineshaft.core.process.peer import Address, Peers
from lineshaft.security.access.enforced import now_us
from lineshaft.security.people.accounts import OWNER
from lineshaft.security.people.login import People, Unproven
from lineshaft.security.people.sessions import Session
from lineshaft.security.people.tokens import Token

SESSION_COOKIE, BROWSER_COOKIE = "lineshaft-session", "lineshaft-browser"
_OF_PROXIES = frozenset({"forwarded", "x-forwarded-for", "x-real-ip", "via"})
"""Whoever a proxy speaks for is not its user (RFC 9110, 7.6.3)."""


def cookies_in(headers: Iterable[str]) -> dict[str, str]:
    """Return the cookies of a request: over HTTP/2 each may have a header of its own.

    RFC 9113, 8.2.3; not every server joins them.
    """
    parts = (part.strip() for header in headers for part in header.split(";"))
    pairs = (part.partition("=") for part in parts if part)
    return {name: value.strip('"') for name, _, value in pairs}


class NotLoggedIn(Unproven):
    """Nobody knows who calls."""

    def __init__(self, told: str) -> None:
        super().__init__(told, code=Code.NO_LOGIN)


class Caller(msgspec.Struct, frozen=True):
    """Who calls, and how they proved it."""

    subject: str
    how: str
    """`owner`, `token`, or what proved the session."""
    origin: str
    lacks: str = ""
    """What the caller must do first; until then hardly anything is allowed."""
    session: Session | None = None
    token: Token | None = None

    @property
    def is_owner(self) -> bool:
        """Whether this is who runs the plant, whom no policy binds."""
        return self.subject.startswith(OWNER)

    @property
    def is_locked(self) -> bool:
        """Whether the session was idle for long, and may only look on."""
        return self.session is not None and self.session.locked


@dataclass(frozen=True, slots=True)
class Call:
    """What a request says of whoever sent it."""

    ours: Address | None
    theirs: Address | None
    headers: Mapping[str, str]
    """Their names in small letters."""
    cookies: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Return the address that it came from."""
        return self.theirs[0] if self.theirs else ""


class Callers:
    """Recognises callers."""

    def __init__(self, people: People, peers: Peers) -> None:
        self.people = people
        self._peers = peers
        self._uid = os.getuid()
        self._owner = OWNER + getpass.getuser()

    def who(self, call: Call) -> Caller:
        """Return who calls; `NotLoggedIn` if nobody knows.

        Whoever names a token or session that does not count is nobody, also on the
        machine of the plant.
        """
        bearer = call.headers.get("authorization")
        secret = call.cookies.get(SESSION_COOKIE)
        if bearer is not None:
            return self._by_token(bearer, call)
        if secret:
            return self._by_session(secret, call)
        if self._is_owner(call):
            return Caller(self._owner, "owner", call.origin)
        raise NotLoggedIn("log in first, or send a token with the request")

    def is_over(self, caller: Caller) -> bool:
        """Whether what a caller was recognised by has ended since."""
        if caller.session is not None:
            return not self.people.sessions.lives(caller.session.id, now_us())
        if caller.token is not None:
            return not self.people.tokens.lives(caller.token.id, now_us())
        return False

    def _by_token(self, bearer: str, call: Call) -> Caller:
        scheme, _, secret = bearer.partition(" ")
        found = self.people.tokens.find(secret.strip(), now_us())
        if scheme.casefold() != "bearer" or found is None:
            raise NotLoggedIn("this token does not count: it is over, or never was")
        return Caller(found.subject, "token", call.origin, token=found)

    def _by_session(self, secret: str, call: Call) -> Caller:
        active = "lineshaft-background" not in call.headers
        session = self.people.sessions.find(secret, now_us(), active=active)
        if session is None:
            raise NotLoggedIn("this session is over; log in again")
        lacks = self.people.lacks(session)
        return Caller(session.account, session.how, call.origin, lacks, session)

    def _is_owner(self, call: Call) -> bool:
        if self.people.settings.loopback != "owner" or not (call.ours and call.theirs):
            return False
        if _OF_PROXIES & call.headers.keys() or not is_loopback(call.theirs[0]):
            return False
        return self._peers.uid(call.ours, call.theirs) == self._uid
