"""What callers may do: asked for every request, before anything is told.

What a caller may not read does not exist for them: it is in no list, and asked for by
name it is not found, with no spelling of it suggested.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec

from lineshaft.core.bus.audit import AuditRecord, Result
from lineshaft.core.errors import Denied
from lineshaft.core.errors.codes import Code
from lineshaft.core.name import matches
from lineshaft.security.access.enforced import Enforced, now_us
from lineshaft.security.access.policy import Decision, Outcome, Reason
from lineshaft.security.access.roles import Action
from lineshaft.security.access.why import why
from lineshaft.web.api.door.callers import Caller, Callers, NotLoggedIn
from lineshaft.web.health import HealthBoard
from lineshaft.web.health.tree import tree
from lineshaft.web.namespace import Namespace
from lineshaft.web.shapes import EventView, PlantHealth

Found = Callable[[str], Awaitable[None]]
PLANT = "plant"
MOST_VIEWS = 16
LOOK_S = 2.0
"""A grant that ended, or a session, is noticed so soon where a page looks on."""


@dataclass(frozen=True, slots=True)
class _View:
    made_s: float
    of: int
    """The version of the whole namespace."""
    namespace: Namespace


class Rights:
    """Applies the policy to callers."""

    def __init__(
        self, callers: Callers, enforced: Enforced, namespace: Namespace, found: Found
    ) -> None:
        """`found` is called with the first account: to give it its rights."""
        self._found = found
        self.callers = callers
        self.enforced = enforced
        self._namespace = namespace
        self._views: OrderedDict[str, _View] = OrderedDict()

    def decide(self, caller: Caller, action: Action, name: str) -> Decision:
        """Return whether a caller may do this to a point or place."""
        asked = (caller.subject, action, name)
        if caller.token is not None and not (
            action in caller.token.actions
            and any(matches(place, name) for place in caller.token.places)
        ):
            return Decision(*asked, Outcome.DENY, Reason.NOT_IN_SCOPE)
        if caller.is_owner:
            return Decision(*asked, Outcome.ALLOW, Reason.OWNER)
        return self.enforced.decide(*asked)

    def may(self, caller: Caller, action: Action, name: str) -> bool:
        """Whether a caller may do this at once."""
        return self.decide(caller, action, name).is_allowed

    async def check(
        self, caller: Caller, action: Action, names: Sequence[str]
    ) -> Decision | None:
        """Raise `Denied`, and write it down, unless a caller may do this to all names.

        Returns the first decision that wants a second person, if one does.
        """
        check_ready(caller, action)
        wants = None
        for name in names:
            decision = self.decide(caller, action, name)
            if decision.outcome is Outcome.DENY:
                await self.deny(caller, decision)
            if decision.outcome is Outcome.APPROVAL:
                wants = wants or decision
        return wants

    async def check_plant(self, caller: Caller, action: Action) -> None:
        """Raise `Denied`, and write it down, unless a caller may do this to the whole.

        What belongs to the plant as a whole, such as its accounts, is asked of the
        place `plant` in the enterprise, the first segment of its names.
        """
        check_ready(caller, action)
        places = self._places()
        decisions = [self.decide(caller, action, place) for place in places]
        if not any(decision.is_allowed for decision in decisions):
            await self.deny(caller, decisions[0])

    def manages(self, caller: Caller) -> bool:
        """Whether a caller may look after accounts."""
        places = self._places()
        return any(self.may(caller, Action.ENROL, place) for place in places)

    def check_own(self, caller: Caller) -> None:
        """Raise `Denied` unless a caller may look after what is their own."""
        check_ready(caller, Action.CONFIGURE)

    async def welcome(self, account: str) -> None:
        """Give the first account its rights, where no policy says otherwise yet."""
        await self._found(account)
        self.enforced.look()

    async def deny(self, caller: Caller, decision: Decision) -> None:
        """Write a denial down, and raise it."""
        kind, result = f"access.{decision.action}", Result.DENIED
        await self.record(caller, kind, decision.name, decision.reason, result)
        raise Denied(self._told(caller, decision))

    async def record(
        self,
        caller: Caller,
        kind: str,
        name: str,
        text: str = "",
        result: Result = Result.SUCCESS,
    ) -> None:
        """Write down what a caller did."""
        record = AuditRecord(
            kind=kind,
            who=caller.subject,
            name=name,
            result=result,
            text=text,
            origin=caller.origin,
        )
        await self.callers.people.tell(record)

    def view(self, caller: Caller) -> Namespace:
        """Return the namespace as a caller may see it: nothing else exists for them."""
        check_ready(caller, Action.READ)
        whole, now_s = self._namespace, time.monotonic()
        if caller.is_owner and caller.token is None:
            return whole
        key = caller.token.id if caller.token else caller.subject
        kept = self._views.pop(key, None)
        if kept is None or kept.of != whole.version or now_s - kept.made_s > LOOK_S:
            names = [n for n in whole.names if self.may(caller, Action.READ, n)]
            same = kept and kept.of == whole.version and kept.namespace.names == names
            seen = kept.namespace if kept and same else Namespace(whole.placed(names))
            kept = _View(now_s, whole.version, seen)
        self._views[key] = kept
        if len(self._views) > MOST_VIEWS:
            self._views.popitem(last=False)
        return kept.namespace

    def sees(self, caller: Caller, event: EventView) -> bool:
        """Whether a caller may hear of an event: of what they see, or of no machine."""
        whole, view = self._namespace, self.view(caller)
        if view is whole:
            return True
        if "/" in event.source:
            return self.may(caller, Action.READ, event.source)
        return event.source in view.devices or event.source not in whole.devices

    def health(self, caller: Caller, board: HealthBoard) -> PlantHealth:
        """Return the health of the plant, without machines that a caller cannot see."""
        whole, view = self._namespace, self.view(caller)
        health = board.plant()
        if view is whole:
            return health
        hidden = {f"collector.{device}" for device in whole.devices - view.devices}
        seen = [s for s in health.services if s.service.split("/")[0] not in hidden]
        told = [
            r for r in health.reasons if r.split(":")[0].split("/")[0] not in hidden
        ]
        shown = tree(health.plant, seen)
        return msgspec.structs.replace(
            health, status=shown.state, services=seen, reasons=told, tree=shown
        )

    def _places(self) -> list[str]:
        found = {name.partition("/")[0] for name in self._namespace.names}
        return [f"{each}/{PLANT}" for each in sorted(found)] or [f"{PLANT}/{PLANT}"]

    def _told(self, caller: Caller, decision: Decision) -> str:
        """Say why not; reasons name rules, so only to whoever may configure here."""
        short = f"{decision.subject} may not {decision.action} {decision.name}"
        if not self.may(caller, Action.READ, decision.name) and decision.name:
            return f"{decision.subject} may not {decision.action} all that this means"
        if decision.reason is Reason.NOT_IN_SCOPE:
            return f"{short}: the token is not for that"
        if self.may(caller, Action.CONFIGURE, decision.name):
            return why(self.enforced.policy, decision, now_us()).sentence
        return f"{short}; an administrator finds out why with `lineshaft may`"


class Looker:
    """One caller who follows what happens, for as long as they may."""

    def __init__(self, rights: Rights, caller: Caller, board: HealthBoard) -> None:
        self.caller = caller
        self._rights, self._board = rights, board

    @property
    def namespace(self) -> Namespace:
        """Return what they may see now."""
        return self._rights.view(self.caller)

    def may(self, action: Action, name: str) -> bool:
        """Whether they may do this at once."""
        return self._rights.may(self.caller, action, name)

    async def check(self, action: Action, names: Sequence[str]) -> Decision | None:
        """Raise `Denied` unless they may; see `Rights.check`."""
        return await self._rights.check(self.caller, action, names)

    def check_ready(self, action: Action) -> None:
        """Raise `Denied` if they must do something else first."""
        check_ready(self.caller, action)

    async def record(
        self, kind: str, name: str, text: str = "", result: Result = Result.SUCCESS
    ) -> None:
        """Write down what they did."""
        await self._rights.record(self.caller, kind, name, text, result)

    def sees(self, event: EventView) -> bool:
        """Whether they may hear of an event."""
        return self._rights.sees(self.caller, event)

    def health(self) -> PlantHealth:
        """Return the health of the plant, as far as it is theirs."""
        return self._rights.health(self.caller, self._board)

    async def until_changed(self) -> None:
        """Wait until they may see something else; `NotLoggedIn` when they must go."""
        before = self.namespace
        # Another process may end a session, so it is looked up.
        while self.namespace is before:
            if self._rights.callers.is_over(self.caller):
                raise NotLoggedIn("the session was ended; log in again")
            await asyncio.sleep(LOOK_S)


def check_ready(caller: Caller, action: Action) -> None:
    """Raise `Denied` if a caller must do something else first."""
    if caller.lacks:
        raise Denied(f"{caller.lacks}; until then nothing else is possible")
    if caller.is_locked and action is not Action.READ:
        raise Denied(
            "the session was idle for long, so it can only look on; unlock it with the "
            "password",
            code=Code.SESSION_LOCKED,
        )
