"""Where the policy wants two people: who asked, who agreed, done once."""

from lineshaft.security.access.approvals import Request, Requests
from lineshaft.security.access.enforced import now_us
from lineshaft.security.access.policy import Decision
from lineshaft.security.access.roles import Action
from lineshaft.web.api.door.callers import Caller
from lineshaft.web.api.door.rights import Rights, check_ready


class Approving:
    """Asks for second persons, and hears them."""

    def __init__(self, rights: Rights, requests: Requests) -> None:
        self._rights = rights
        self._requests = requests

    async def ask(self, caller: Caller, decision: Decision, what: str) -> Request:
        """Ask for a second person who agrees that this is done."""
        deed = (caller.subject, decision.action, decision.name)
        policy = self._rights.enforced.policy
        request = self._requests.ask(policy, deed, what, now_us())
        await self._rights.record(caller, "approval.asked", request.name, what)
        return request

    async def use(
        self, caller: Caller, number: str, deed: tuple[Action, str, str]
    ) -> None:
        """Take what was agreed to, once; `deed` is action, name and what exactly.

        `Refused` if it was not agreed to, or to something else.
        """
        wish = (caller.subject, *deed)
        self._requests.use(self._rights.enforced.policy, number, wish, now_us())
        await self._rights.record(caller, "approval.used", deed[1], deed[2])

    async def decide(self, caller: Caller, number: str, *, approve: bool) -> Request:
        """Agree to what somebody else asked for, or say no."""
        check_ready(caller, Action.WRITE)
        settle = self._requests.approve if approve else self._requests.refuse
        policy = self._rights.enforced.policy
        request = settle(policy, number, caller.subject, now_us())
        kind = f"approval.{request.state}"
        await self._rights.record(caller, kind, request.name, request.what)
        return request

    def open(self, caller: Caller) -> list[Request]:
        """Return what is open, of the caller and of whom the caller may agree to."""
        policy = self._rights.enforced.policy
        holders = set(policy.holders_of(caller.subject))
        found = []
        for request in self._requests.open(now_us()):
            rule = policy.approval(request.action, request.name)
            asked = bool(rule and holders & set(rule.by))
            if asked or caller.is_owner or request.subject == caller.subject:
                found.append(request)
        return found
