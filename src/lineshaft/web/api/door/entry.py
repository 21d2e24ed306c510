"""The routes by which people come in, and look after what proves who they are."""

import asyncio
import time
from typing import Annotated, Any, Literal

from litestar import Request, Response, delete, get, post, put
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Redirect

from lineshaft.core.errors import NotFound, Refused
from lineshaft.security.access.enforced import now_us
from lineshaft.security.access.roles import Action
from lineshaft.security.people.login import Entered, Where
from lineshaft.security.people.passkeys import Site
from lineshaft.security.people.sessions import KNOWN_BROWSER_DAYS, Session
from lineshaft.web.api.door.callers import (
    BROWSER_COOKIE,
    SESSION_COOKIE,
    Caller,
    NotLoggedIn,
    cookies_in,
)
from lineshaft.web.api.door.rights import Rights
from lineshaft.web.api.door.shapes import (
    Answer,
    Asked,
    CodesOffered,
    CodesTaken,
    Doors,
    Invited,
    Login,
    NewPassword,
    SessionView,
    Unlock,
    WhoAmI,
    session_view,
)
from lineshaft.web.api.told import PROBLEMS, UNPROVEN, told

Here = NamedDependency[Rights]
Me = NamedDependency[Caller]
At = NamedDependency[Where]
STATE_COOKIE = "lineshaft-sign-on"
_OPEN = {"open": True}


@get(
    "/session",
    operation_id="getSession",
    summary="Who the caller is",
    responses={403: PROBLEMS[403]},
    opt=_OPEN,
)
async def get_session(rights: Here, request: Request[Any, Any, Any]) -> WhoAmI:
    """Return who calls, also if nobody is logged in, and how one can log in."""
    people = rights.callers.people
    sign_on = people.settings.single_sign_on
    doors = Doors(
        people.settings.banner,
        sign_on.issuer if sign_on else "",
        people.settings.loopback,
        people.settings.second_factor,
    )
    caller: Caller | None = request.scope["state"].get("caller")
    if caller is None:
        return WhoAmI("", "", "", False, False, None, False, doors)  # noqa: FBT003
    until = session_view(caller.session, caller).until if caller.session else None
    return WhoAmI(
        caller.subject,
        caller.how,
        caller.lacks,
        caller.is_locked,
        caller.is_owner,
        until,
        rights.manages(caller),
        doors,
    )


@post(
    "/session",
    operation_id="logIn",
    summary="Log in with a password",
    responses=UNPROVEN,
    opt=_OPEN,
)
async def post_session(
    rights: Here, at: At, data: JSONBody[Login]
) -> Response[SessionView]:
    """Open a session; its secret is a cookie that no script can read."""
    people = rights.callers.people
    return _entered(
        await people.by_password(data.name, data.password, data.code, at), at
    )


@delete(
    "/session",
    operation_id="logOut",
    summary="Log out",
    status_code=204,
    responses=UNPROVEN,
)
async def delete_session(rights: Here, me: Me) -> Response[None]:
    """End this session at once, wherever else it is open too."""
    session = _session(me)
    rights.callers.people.sessions.end(session.id)
    await rights.record(me, "login.out", me.subject)
    return Response(None, status_code=204, cookies=[_gone(SESSION_COOKIE)])


@post(
    "/session/unlock",
    operation_id="unlockSession",
    summary="Unlock a session that was idle",
    status_code=200,
    responses=UNPROVEN,
)
async def post_unlock(
    rights: Here, me: Me, at: At, data: JSONBody[Unlock]
) -> SessionView:
    """Let the session do everything again."""
    session = _session(me)
    await rights.callers.people.unlock(session, data.password, at)
    return session_view(_same(rights, session), me)


@post(
    "/session/invited",
    operation_id="acceptInvitation",
    summary="Set a first or new password with a code that works once",
    responses=UNPROVEN,
    opt=_OPEN,
)
async def post_invited(
    rights: Here, at: At, data: JSONBody[Invited]
) -> Response[SessionView]:
    """Take a password, and log in; at the set-up the first account is made."""
    people = rights.callers.people
    entered = await people.accept_invitation(data.code, data.name, data.password, at)
    if entered.is_first:
        await rights.welcome(entered.session.account)
    return _entered(entered, at)


@put(
    "/session/password",
    operation_id="changePassword",
    summary="Change one's password",
    status_code=204,
    responses=UNPROVEN,
)
async def put_password(
    rights: Here, me: Me, at: At, data: JSONBody[NewPassword]
) -> None:
    """Take another password; all other sessions of the account end."""
    people = rights.callers.people
    await people.change_password(_session(me), data.old, data.new, at)


@post(
    "/session/codes",
    operation_id="offerCodes",
    summary="Ask for a key of an authenticator app",
    status_code=200,
    responses=UNPROVEN,
)
async def post_codes(rights: Here, me: Me) -> CodesOffered:
    """Return a new key; it counts once a code has proved that the app works."""
    return CodesOffered(*rights.callers.people.offer_codes(_own(me)))


@put(
    "/session/codes",
    operation_id="takeCodes",
    summary="Ask for codes of an authenticator app from now on",
    status_code=204,
    responses=UNPROVEN,
)
async def put_codes(rights: Here, me: Me, at: At, data: JSONBody[CodesTaken]) -> None:
    """Keep the key, once a code of it is right."""
    people = rights.callers.people
    await people.keep_codes(_own(me), data.key, data.code, at)


@delete(
    "/session/codes",
    operation_id="removeCodes",
    summary="Ask for no codes any more",
    status_code=204,
    responses=UNPROVEN,
)
async def delete_codes(rights: Here, me: Me) -> None:
    """Forget the key of one's authenticator app."""
    rights.callers.people.accounts.keep_codes_key(_own(me), None)
    await rights.record(me, "account.codes-removed", me.subject)


@post(
    "/session/passkeys/options",
    operation_id="offerPasskey",
    summary="Begin to make a passkey",
    status_code=200,
    responses=UNPROVEN,
)
async def post_passkey_options(rights: Here, me: Me, at: At) -> Asked:
    """Return what a page gives to `navigator.credentials.create`."""
    people, name = rights.callers.people, _own(me)
    handle = people.accounts.handle(name)
    return Asked(people.passkeys.offer(name, handle, at.site, time.time()))


@post(
    "/session/passkeys",
    operation_id="keepPasskey",
    summary="Keep a passkey that a browser made",
    status_code=204,
    responses=UNPROVEN,
)
async def post_passkey(rights: Here, me: Me, data: JSONBody[Answer]) -> None:
    """Let its owner log in with it from now on."""
    passkeys = rights.callers.people.passkeys
    passkeys.keep(_own(me), data.answer, data.label, time.time())
    await rights.record(me, "account.passkey", me.subject, data.label)


@post(
    "/session/passkey/options",
    operation_id="askForPasskey",
    summary="Begin to log in with a passkey",
    status_code=200,
    responses=UNPROVEN,
    opt=_OPEN,
)
async def post_passkey_asked(rights: Here, at: At) -> Asked:
    """Return what a page gives to `navigator.credentials.get`."""
    return Asked(rights.callers.people.passkeys.ask(at.site, time.time()))


@post(
    "/session/passkey",
    operation_id="logInWithPasskey",
    summary="Log in with a passkey",
    responses=UNPROVEN,
    opt=_OPEN,
)
async def post_passkey_login(
    rights: Here, at: At, data: JSONBody[Answer]
) -> Response[SessionView]:
    """Open a session for the owner of a passkey."""
    return _entered(await rights.callers.people.by_passkey(data.answer, at), at)


@get(
    "/session/sign-on",
    operation_id="beginSignOn",
    summary="Log in at the provider of single sign-on",
    status_code=302,
    responses=UNPROVEN | {302: told("The provider's page.", None)},
    opt=_OPEN,
)
async def get_sign_on(rights: Here, at: At) -> Redirect:
    """Send the browser to the provider, which sends it back to us."""
    sign_on = rights.callers.people.sign_on
    if sign_on is None:
        raise NotFound("no provider is set up in [people.single_sign_on]")
    back = _back(at.site)
    where, state = await asyncio.to_thread(sign_on.begin, back, time.time())
    # Lax: the provider's page sends the browser back, which Strict would forbid.
    kept = Cookie(
        STATE_COOKIE, "/", value=state, httponly=True, samesite="lax", max_age=300
    )
    return Redirect(where, cookies=[kept])


@get(
    "/session/sign-on/back",
    operation_id="finishSignOn",
    summary="Where the provider of single sign-on sends the browser back to",
    status_code=302,
    responses=UNPROVEN | {302: told("The page.", None)},
    opt=_OPEN,
)
async def get_sign_on_back(
    rights: Here,
    request: Request[Any, Any, Any],
    at: At,
    code: Annotated[str, QueryParameter(max_length=4000)] = "",
    given: Annotated[str, QueryParameter(name="state", max_length=200)] = "",
) -> Redirect:
    """Open a session for whom the provider vouches."""
    kept = cookies_in(request.headers.getall("cookie", []))
    if not given or kept.get(STATE_COOKIE) != given:
        raise NotLoggedIn("this login was begun in another browser; begin anew")
    knows = rights.enforced.knows
    entered = await rights.callers.people.by_sign_on(given, code, knows, at)
    # Strict cookies are not sent where another site leads, so the page loads itself.
    answer = Redirect("/#/entered")
    answer.cookies = [*_cookies(entered, at), _gone(STATE_COOKIE)]
    return answer


@get(
    "/sessions",
    operation_id="getSessions",
    summary="Open sessions",
    responses=UNPROVEN,
)
async def get_sessions(
    rights: Here,
    me: Me,
    whose: Annotated[
        Literal["mine", "all"], QueryParameter(description="One's own, or all.")
    ] = "mine",
) -> list[SessionView]:
    """Return one's own sessions, or those of all for whoever manages accounts."""
    if whose == "all":
        await rights.check_plant(me, Action.ENROL)
    account = None if whose == "all" else _own(me)
    found = rights.callers.people.sessions.all(now_us(), account)
    return [session_view(session, me) for session in found]


@delete(
    "/sessions/{number:str}",
    operation_id="endSession",
    summary="End a session",
    status_code=204,
    responses=UNPROVEN | {404: PROBLEMS[404]},
)
async def delete_one_session(rights: Here, me: Me, number: FromPath[str]) -> None:
    """End one of one's own sessions, or any for whoever manages accounts."""
    sessions = rights.callers.people.sessions
    found = [each for each in sessions.all(now_us()) if each.id == number]
    if not found or found[0].account != me.subject:
        await rights.check_plant(me, Action.ENROL)
    if not found or not sessions.end(number):
        raise NotFound(f"there is no session {number[:40]!r}")
    await rights.record(me, "session.ended", found[0].account)


ROUTES = [
    get_session,
    post_session,
    delete_session,
    post_unlock,
    post_invited,
    put_password,
    post_codes,
    put_codes,
    delete_codes,
    post_passkey_options,
    post_passkey,
    post_passkey_asked,
    post_passkey_login,
    get_sign_on,
    get_sign_on_back,
    get_sessions,
    delete_one_session,
]


def _session(me: Caller) -> Session:
    if me.session is None:
        raise Refused(
            f"{me.subject} came in as {me.how}, without a session; log in with a name"
        )
    return me.session


def _own(me: Caller) -> str:
    """Return the account of a caller who may change it."""
    if _session(me).locked:
        raise NotLoggedIn("the session is locked; unlock it first")
    return _session(me).account


def _same(rights: Rights, session: Session) -> Session:
    found = rights.callers.people.sessions.all(now_us(), session.account)
    return next(each for each in found if each.id == session.id)


def _back(site: Site) -> str:
    return f"{site.origin}/api/v1/session/sign-on/back"


def _entered(entered: Entered, at: Where) -> Response[SessionView]:
    caller = Caller(entered.session.account, "", at.address, session=entered.session)
    return Response(
        session_view(entered.session, caller), cookies=_cookies(entered, at)
    )


def _cookies(entered: Entered, at: Where) -> list[Cookie]:
    secure = at.site.origin.startswith("https:")
    ages = {
        SESSION_COOKIE: (
            entered.secret,
            (entered.session.until_us - entered.session.made_us) // 1_000_000,
        ),
        BROWSER_COOKIE: (entered.browser, KNOWN_BROWSER_DAYS * 86_400),
    }
    return [
        Cookie(
            name,
            "/",
            value=value,
            max_age=age_s,
            httponly=True,
            secure=secure,
            samesite="strict",
        )
        for name, (value, age_s) in ages.items()
    ]


def _gone(name: str) -> Cookie:
    return Cookie(name, "/", value="", max_age=0, httponly=True, samesite="strict")
