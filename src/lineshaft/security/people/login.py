"""The door: who comes in, how they prove it, and what is written down about it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from lineshaft.core.bus.audit import AuditRecord, Result
from lineshaft.core.errors import Denied, Refused
from lineshaft.core.errors.codes import Code
from lineshaft.security.people import passwords, totp
from lineshaft.security.people.accounts import CODE_S, INVITATION, SETUP, Accounts
from lineshaft.security.people.passkeys import Passkeys, Site
from lineshaft.security.people.sessions import Session, Sessions
from lineshaft.security.people.settings import Settings
from lineshaft.security.people.single_sign_on import SignOn
from lineshaft.security.people.store import Store
from lineshaft.security.people.throttle import Throttle
from lineshaft.security.people.tokens import Tokens

SHORTEST_KEY = 26
"""Letters of base 32, which are 128 bits (RFC 4226, 4)."""
AT_ONCE = 2
"""Passwords that are compared at the same time; each takes 64 MiB."""
WRONG = "the name, the password or the code is wrong"
"""The same for a name that nobody has, so that names cannot be guessed."""
Tell = Callable[[AuditRecord], Awaitable[None]]


class Unproven(Denied):
    """Somebody could not prove who they are."""


class Throttled(Refused):
    """Too many failures: wait before the next attempt."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(
            f"too many attempts failed; wait {wait_s:.0f} s. Sessions that are open "
            "go on, and a browser you have logged in on before need not wait"
        )


class Where(msgspec.Struct, frozen=True):
    """Where somebody stands who wants to come in."""

    address: str
    agent: str
    site: Site
    browser: str = ""
    """The secret of a browser that somebody logged in on before."""


class Entered(msgspec.Struct, frozen=True):
    """Somebody came in: what their browser must keep, and the session."""

    secret: str
    browser: str
    session: Session
    is_first: bool = False
    """Whether this is the set-up, so that nobody was here before."""


class People:
    """The accounts of a plant, and the door."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        plant: str,
        tell: Tell,
        sign_on: SignOn | None = None,
    ) -> None:
        self.settings = settings
        self.accounts = Accounts(store)
        self.sessions = Sessions(store, settings)
        self.tokens = Tokens(store)
        self.passkeys = Passkeys(store, plant)
        self.sign_on = sign_on
        self.tell = tell
        self._plant = plant
        self._throttle = Throttle()
        self._comparing = asyncio.Semaphore(AT_ONCE)

    async def by_password(
        self, name: str, password: str, code: str, where: Where
    ) -> Entered:
        """Let somebody in with a password, and a code if the account has an app.

        `Denied` if anything is wrong, `Throttled` after many failures.
        """
        kept, keys = self.accounts.password(name), self._keys(name, where)
        self._slow_down(keys)
        is_right = await self._is_right(kept, password)
        key = self.accounts.codes_key(name) if is_right else None
        if is_right and key and not code:
            told = "the code of the authenticator app is needed"
            raise Unproven(told, code=Code.CODE_WANTED)
        if not is_right or (key and not self._use_code(name, key, code)):
            self._throttle.failed(keys, time.monotonic())
            await self._failed("login.password", name, where)
            raise Unproven(WRONG)
        if kept and passwords.is_outdated(kept):
            # Kept with older parameters: now is the only time that we know it.
            await self._keep(name, password)
        self._throttle.succeeded(keys[:1])
        return await self._enter(name, "password+code" if key else "password", where)

    async def by_passkey(self, said: str, where: Where) -> Entered:
        """Let somebody in with a passkey; `Denied` if it is not one of ours."""
        keys = (f"address {where.address}",)
        self._slow_down(keys)
        try:
            name = self.passkeys.check(said, time.time())
        except Denied as error:
            self._throttle.failed(keys, time.monotonic())
            await self._failed("login.passkey", "", where)
            raise Unproven(str(error)) from error
        return await self._enter(name, "passkey", where)

    async def by_sign_on(
        self, state: str, code: str, knows: Callable[[str], bool], where: Where
    ) -> Entered:
        """Let somebody in whom the provider vouches for.

        An account is made for whoever `knows` says the policy speaks of. `Denied` when
        the provider does not vouch, or for somebody who is known to nobody here.
        """
        sign_on = self.sign_on
        if sign_on is None:
            raise Refused("no provider is set up in [people.single_sign_on]")
        try:
            finish = partial(sign_on.finish, state, code, time.time())
            name = await asyncio.to_thread(finish)
            self._expect(name, knows, sign_on.issuer)
        except Denied as error:
            await self._failed("login.single-sign-on", "", where, str(error))
            raise Unproven(str(error)) from error
        return await self._enter(name, "single sign-on", where)

    async def unlock(self, session: Session, password: str, where: Where) -> None:
        """Let the owner of a locked session do everything again; else `Denied`."""
        keys = self._keys(session.account, where)
        self._slow_down(keys)
        kept = self.accounts.password(session.account)
        if not await self._is_right(kept, password):
            self._throttle.failed(keys, time.monotonic())
            await self._failed("login.unlock", session.account, where)
            raise Unproven(WRONG)
        self.sessions.unlock(session.id, _now_us())
        await self._done("login.unlock", session.account, where)

    async def change_password(
        self, session: Session, old: str, new: str, where: Where
    ) -> None:
        """Take another password from its owner; all other sessions end."""
        name, keys = session.account, self._keys(session.account, where)
        self._slow_down(keys)
        kept = self.accounts.password(name)
        if kept is not None and not await self._is_right(kept, old):
            self._throttle.failed(keys, time.monotonic())
            await self._failed("account.password", name, where)
            raise Unproven(WRONG)
        if old == new:
            raise Refused("this password will not do: it is the old one")
        passwords.check_fit(new, (name, self._plant))
        await self._keep(name, new)
        self.sessions.end_all(name, session.id)
        await self._done("account.password", name, where)

    async def accept_invitation(
        self, code: str, name: str, password: str, where: Where
    ) -> Entered:
        """Let in whoever has a code that works once, and takes a password with it.

        With the code of the set-up the account is made under `name`. `Denied` for a
        code that does not work, `Refused` for a password or name that will not do;
        the code then works still.
        """
        keys = (f"address {where.address}",)
        self._slow_down(keys)
        invited = self.accounts.invited(code, _now_us())
        if invited is None:
            self._throttle.failed(keys, time.monotonic())
            await self._failed("login.invitation", name, where)
            raise Unproven(
                "this link was used already, or it is too old; ask for another"
            )
        purpose, account = invited
        account = name if purpose == SETUP else account
        passwords.check_fit(password, (account, self._plant))
        kept = await self._hashed(password)
        if purpose == SETUP:
            self.accounts.make(account, _now_us())
        if not self.accounts.use_code(code):
            raise Unproven("this link was used already; ask for another")
        self.accounts.keep_password(account, kept, _now_us())
        await self._done(f"account.{purpose}", account, where)
        entered = await self._enter(account, "password", where)
        return msgspec.structs.replace(entered, is_first=purpose == SETUP)

    def invite(self, name: str) -> str:
        """Return a code with which the owner of an account sets a password, once."""
        self.accounts.get(name)
        until_us = _now_us() + int(CODE_S * 1e6)
        return self.accounts.invite(name, INVITATION, until_us)

    def set_up(self) -> str | None:
        """Return the code that makes the first account; None if there is one."""
        if self.accounts.all():
            return None
        until_us = _now_us() + int(CODE_S * 1e6)
        return self.accounts.invite("", SETUP, until_us)

    def lacks(self, session: Session) -> str:
        """Return what the owner of a session must mend first; empty if nothing."""
        account = self.accounts.get(session.account)
        days = self.settings.password_days
        if "password" in session.how:
            age_us = _now_us() - account.password_us
            if account.must_change or (days and age_us > days * 86_400_000_000):
                return "the password must be changed"
        if self.settings.second_factor == "required" and session.how == "password":
            return "a second factor must be set up, and used at the next login"
        return ""

    def offer_codes(self, name: str) -> tuple[str, str]:
        """Return a new key for an authenticator app, and its address for the app."""
        key = totp.new_key()
        return key, totp.address_of(key, name, self._plant)

    async def keep_codes(self, name: str, key: str, code: str, where: Where) -> None:
        """Ask for codes from now on, once a first one has proved that the app works."""
        step = totp.step_of(key, code, time.time()) if _is_key(key) else None
        if step is None:
            raise Refused("this code does not belong to the key; is the clock right?")
        self.accounts.keep_codes_key(name, key)
        self.accounts.use_step(name, step)
        await self._done("account.codes", name, where)

    async def _enter(self, name: str, how: str, where: Where) -> Entered:
        now_us = _now_us()
        told = (where.address, where.agent)
        secret, session = self.sessions.begin(name, how, told, now_us)
        browser = where.browser
        if not self.sessions.knows_browser(name, browser, now_us):
            browser = self.sessions.remember_browser(name, now_us)
        self.accounts.saw(name, now_us)
        kind = how.partition("+")[0].replace(" ", "-")
        await self._done(f"login.{kind}", name, where)
        return Entered(secret, browser, session)

    def _expect(self, name: str, knows: Callable[[str], bool], issuer: str) -> None:
        """Make an account for whom the policy knows; `Denied` for any other."""
        known = {account.name: account for account in self.accounts.all()}
        if name not in known and knows(name):
            self.accounts.make(name, _now_us(), issuer)
        elif name not in known or known[name].disabled:
            raise Denied(f"{name} is not known to the policy of this plant")

    def _keys(self, name: str, where: Where) -> tuple[str, ...]:
        """Return under what failures count: a known browser has a count of its own."""
        if self.sessions.knows_browser(name, where.browser, _now_us()):
            return (f"browser {where.browser}",)
        return f"account {name[:100]}", f"address {where.address}"

    def _slow_down(self, keys: tuple[str, ...]) -> None:
        if (wait_s := self._throttle.wait_s(keys, time.monotonic())) > 0:
            raise Throttled(wait_s)

    async def _is_right(self, kept: str | None, password: str) -> bool:
        async with self._comparing:
            return await asyncio.to_thread(passwords.is_right, kept, password)

    async def _hashed(self, password: str) -> str:
        async with self._comparing:
            return await asyncio.to_thread(passwords.hashed, password)

    async def _keep(self, name: str, password: str) -> None:
        self.accounts.keep_password(name, await self._hashed(password), _now_us())

    def _use_code(self, name: str, key: tuple[str, int], code: str) -> bool:
        step = totp.step_of(key[0], code, time.time())
        return step is not None and self.accounts.use_step(name, step)

    async def _done(self, kind: str, name: str, where: Where) -> None:
        origin = where.address
        await self.tell(AuditRecord(kind=kind, who=name, name=name, origin=origin))

    async def _failed(self, kind: str, name: str, where: Where, why: str = "") -> None:
        known = self.accounts.find(name) is not None
        await self.tell(
            AuditRecord(
                kind=kind,
                # What was typed as a name may be somebody's password.
                who=name if known else "",
                result=Result.DENIED,
                text=why or WRONG,
                origin=where.address,
            )
        )


def _is_key(key: str) -> bool:
    return len(key) >= SHORTEST_KEY and key.isalnum() and key.isascii()


def _now_us() -> int:
    return time.time_ns() // 1000
