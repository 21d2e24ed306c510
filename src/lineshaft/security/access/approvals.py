"""Four eyes: what one person asks for, another agrees to, and is then done once.

Requests are kept in one SQLite file, so that a restart loses none and two processes
cannot use one approval twice (IEC 62443-3-3 SR 2.1 RE 4, dual approval).
"""

import sqlite3
import uuid
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path

import msgspec

from lineshaft.core.errors import Denied, NotFound, Refused
from lineshaft.core.reading import iso
from lineshaft.security.access.policy import Decision, Outcome, Policy
from lineshaft.security.access.roles import Action
from lineshaft.security.access.why import why
from lineshaft.security.kept import changing, open_database


class State(StrEnum):
    """How far a request is."""

    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"
    DONE = "done"
    """The approval was used; it cannot be used again."""


class Request(msgspec.Struct, frozen=True):
    """What somebody wants to do, and who agreed."""

    id: str
    subject: str
    action: Action
    name: str
    what: str
    """Exactly what is to be done, such as the value to write; it is approved as is."""
    rule: str
    """The approval of the policy that wants a second person."""
    asked_us: int
    until_us: int
    """From then on it can neither be approved nor used."""
    state: State = State.OPEN
    decided_by: str = ""
    decided_us: int = 0


_COLUMNS = Request.__struct_fields__
_TABLE = """
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY, subject TEXT, action TEXT, name TEXT, what TEXT, rule TEXT,
    asked_us INTEGER, until_us INTEGER, state TEXT, decided_by TEXT, decided_us INTEGER
) STRICT
"""


class Requests:
    """The requests of a plant."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take a connection that commits by itself; the table is made if need be."""
        self._connection = connection
        connection.execute(_TABLE)

    def ask(
        self, policy: Policy, deed: tuple[str, Action, str], what: str, now_us: int
    ) -> Request:
        """Ask for a second person; `deed` is subject, action and name.

        `Denied` if the subject may not even with one, `Refused` if none is needed.
        """
        decision = policy.decide(*deed, now_us)
        _approvable(policy, decision, now_us)
        rule = policy.approval(decision.action, decision.name)
        if decision.outcome is Outcome.ALLOW or rule is None:
            raise Refused(f"{deed[0]} may {deed[1]} {deed[2]} without anybody else")
        until_us = now_us + int(rule.within_s * 1e6)
        request = Request(
            uuid.uuid4().hex, *deed, what, rule.name, asked_us=now_us, until_us=until_us
        )
        with changing(self._connection) as kept:
            row = msgspec.structs.astuple(request)
            kept.execute("INSERT INTO requests VALUES (?,?,?,?,?,?,?,?,?,?,?)", row)
        return request

    def get(self, number: str) -> Request:
        """Return a request by its id; `NotFound` if there is none."""
        return _one(self._connection, number)

    def open(self, now_us: int) -> list[Request]:
        """Return what waits for a second person, the oldest first."""
        rows = self._connection.execute(
            "SELECT * FROM requests WHERE state = ? AND until_us > ? ORDER BY asked_us",
            (State.OPEN, now_us),
        )
        return [_made(row) for row in rows]

    def approve(self, policy: Policy, number: str, by: str, now_us: int) -> Request:
        """Agree to a request, as another person whom the policy names for it.

        `Denied` if it is one's own or the policy does not name one, or the subject may
        not ask any more; `Refused` if it is not open any more.
        """
        return self._settle(policy, number, (by, State.APPROVED), now_us)

    def refuse(self, policy: Policy, number: str, by: str, now_us: int) -> Request:
        """Say no to a request; errors as of `approve`."""
        return self._settle(policy, number, (by, State.REFUSED), now_us)

    def use(
        self,
        policy: Policy,
        number: str,
        wish: tuple[str, Action, str, str],
        now_us: int,
    ) -> Request:
        """Take an approval to do what it was given for; it works once.

        `wish` is subject, action, name and what exactly. `Refused` if the approval is
        for anything else, was not given, is over or used; `Denied` if the policy has
        changed so that it would not be given now.
        """
        with changing(self._connection) as kept:
            request = _one(kept, number)
            approved = (request.subject, request.action, request.name, request.what)
            if approved != wish:
                raise Refused(f"request {number} is about something else")
            _still(request, State.APPROVED, now_us)
            decision = policy.decide(*wish[:3], now_us)
            _approvable(policy, decision, now_us)
            _named(policy, request, request.decided_by, now_us)
            done = msgspec.structs.replace(request, state=State.DONE)
            _update(kept, done)
        return done

    def _settle(
        self, policy: Policy, number: str, said: tuple[str, State], now_us: int
    ) -> Request:
        by, state = said
        with changing(self._connection) as kept:
            request = _one(kept, number)
            _named(policy, request, by, now_us)
            _still(request, State.OPEN, now_us)
            decision = policy.decide(
                request.subject, request.action, request.name, now_us
            )
            _approvable(policy, decision, now_us)
            settled = msgspec.structs.replace(
                request, state=state, decided_by=by, decided_us=now_us
            )
            _update(kept, settled)
        return settled


def open_requests(file: Path) -> AbstractContextManager[Requests]:
    """Open the requests of a plant; the file is made if it is not there."""
    return open_database(
        file,
        Requests,
        "restore it from a back-up, or move it away: then every open request must be "
        "asked again",
    )


def _named(policy: Policy, request: Request, by: str, now_us: int) -> None:
    """Raise `Denied` unless `by` may decide about this request."""
    if by == request.subject:
        raise Denied(f"{by} asked for it: another person must agree")
    rule = policy.approval(request.action, request.name)
    named = rule is not None and set(policy.holders_of(by)) & set(rule.by)
    if not named or policy.counts(by, request.name, now_us):
        raise Denied(
            f"{by} may not decide about {request.action} {request.name}; the policy "
            "says who may, under `by` of its approvals"
        )


def _still(request: Request, wanted: State, now_us: int) -> None:
    """Raise `Refused` unless a request is in this state and in time."""
    if request.state is not wanted:
        raise Refused(f"request {request.id} is {request.state}, not {wanted}")
    if not request.asked_us <= now_us < request.until_us:
        raise Refused(f"request {request.id} ended {iso(request.until_us)}; ask again")


def _approvable(policy: Policy, decision: Decision, now_us: int) -> None:
    """Raise `Denied` if the subject may not, whoever agrees."""
    if decision.outcome is Outcome.DENY:
        raise Denied(why(policy, decision, now_us).sentence)


def _one(kept: sqlite3.Connection, number: str) -> Request:
    row = kept.execute("SELECT * FROM requests WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise NotFound(f"there is no request {number}")
    return _made(row)


def _made(row: tuple[object, ...]) -> Request:
    return msgspec.convert(dict(zip(_COLUMNS, row, strict=True)), Request)


def _update(kept: sqlite3.Connection, request: Request) -> None:
    kept.execute(
        "UPDATE requests SET state = ?, decided_by = ?, decided_us = ? WHERE id = ?",
        (request.state, request.decided_by, request.decided_us, request.id),
    )
