"""The routes of whoever looks after accounts, tokens and approvals."""

from typing import Annotated, Literal

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from lineshaft.core.errors import Refused
from lineshaft.security.access.enforced import now_us
from lineshaft.security.access.roles import Action
from lineshaft.security.people.login import Where
from lineshaft.web.api.door.approving import Approving
from lineshaft.web.api.door.callers import Caller
from lineshaft.web.api.door.rights import Rights
from lineshaft.web.api.door.shapes import (
    AccountChange,
    AccountView,
    ApprovalView,
    Invitation,
    NewAccount,
    NewToken,
    TokenMade,
    TokenView,
    Verdict,
    account_view,
    approval_view,
    token_view,
)
from lineshaft.web.api.told import PROBLEMS, UNPROVEN

Here = NamedDependency[Rights]
Me = NamedDependency[Caller]
At = NamedDependency[Where]
Second = NamedDependency[Approving]
_NAMED = UNPROVEN | {404: PROBLEMS[404]}


@get(
    "/accounts", operation_id="getAccounts", summary="All accounts", responses=UNPROVEN
)
async def get_accounts(rights: Here, me: Me) -> list[AccountView]:
    """Return every account; nothing that proves it is told."""
    await rights.check_plant(me, Action.ENROL)
    return [account_view(each) for each in rights.callers.people.accounts.all()]


@post(
    "/accounts",
    operation_id="makeAccount",
    summary="Make an account, and a link with which its owner sets a password",
    responses=UNPROVEN,
)
async def post_account(
    rights: Here, me: Me, at: At, data: JSONBody[NewAccount]
) -> Invitation:
    """Make an account; what it may do, the policy says."""
    await rights.check_plant(me, Action.ENROL)
    people = rights.callers.people
    people.accounts.make(data.name, now_us())
    await rights.record(me, "account.made", data.name)
    return _invitation(data.name, people.invite(data.name), at)


@post(
    "/accounts/{name:str}/invitation",
    operation_id="invite",
    summary="A new link with which somebody sets a password",
    responses=_NAMED,
)
async def post_invitation(
    rights: Here, me: Me, at: At, name: FromPath[str]
) -> Invitation:
    """Return a code that works once, within a day; those before it are void."""
    await rights.check_plant(me, Action.ENROL)
    code = rights.callers.people.invite(name)
    await rights.record(me, "account.invited", name)
    return _invitation(name, code, at)


@patch(
    "/accounts/{name:str}",
    operation_id="changeAccount",
    summary="Disable an account, or enable it again",
    status_code=204,
    responses=_NAMED,
)
async def patch_account(
    rights: Here, me: Me, name: FromPath[str], data: JSONBody[AccountChange]
) -> None:
    """End its sessions and tokens at once, and let nobody in; or let them again."""
    await rights.check_plant(me, Action.ENROL)
    rights.callers.people.accounts.disable(name, disabled=data.disabled)
    kind = "account.disabled" if data.disabled else "account.enabled"
    await rights.record(me, kind, name)


@delete(
    "/accounts/{name:str}",
    operation_id="removeAccount",
    summary="Remove an account",
    status_code=204,
    responses=_NAMED,
)
async def delete_account(rights: Here, me: Me, name: FromPath[str]) -> None:
    """Remove an account with all that proves it; its name is never given again."""
    await rights.check_plant(me, Action.ENROL)
    rights.callers.people.accounts.remove(name, now_us())
    await rights.record(me, "account.removed", name)


@get("/tokens", operation_id="getTokens", summary="Tokens", responses=UNPROVEN)
async def get_tokens(
    rights: Here,
    me: Me,
    whose: Annotated[
        Literal["mine", "all"], QueryParameter(description="One's own, or all.")
    ] = "mine",
) -> list[TokenView]:
    """Return one's own tokens, or those of all for whoever manages accounts."""
    if whose == "all":
        await rights.check_plant(me, Action.ENROL)
    found = rights.callers.people.tokens.all(None if whose == "all" else me.subject)
    return [token_view(token) for token in found]


@post(
    "/tokens",
    operation_id="makeToken",
    summary="Make a token for a program",
    responses=_NAMED,
)
async def post_token(rights: Here, me: Me, data: JSONBody[NewToken]) -> TokenMade:
    """Make a token that has some of its subject's rights, in some places, for a time.

    A token makes no tokens.
    """
    if me.token is not None:
        raise Refused("a token makes no tokens; log in")
    subject = data.subject or me.subject
    if subject != me.subject:
        await rights.check_plant(me, Action.ENROL)
    else:
        rights.check_own(me)
    now, scope = now_us(), (data.actions, data.places)
    until = (now, now + int(data.days * 86_400e6))
    tokens = rights.callers.people.tokens
    secret, token = tokens.make(subject, data.label, scope, until, me.subject)
    await rights.record(me, "token.made", subject, data.label)
    return TokenMade(secret, token_view(token))


@delete(
    "/tokens/{number:str}",
    operation_id="endToken",
    summary="End a token",
    status_code=204,
    responses=_NAMED,
)
async def delete_token(rights: Here, me: Me, number: FromPath[str]) -> None:
    """End a token at once."""
    tokens = rights.callers.people.tokens
    mine = {token.id for token in tokens.all(me.subject)}
    if number not in mine:
        await rights.check_plant(me, Action.ENROL)
    token = tokens.get(number)
    tokens.end(number)
    await rights.record(me, "token.ended", token.subject, token.label)


@get(
    "/approvals",
    operation_id="getApprovals",
    summary="What waits for a second person",
    responses=UNPROVEN,
)
async def get_approvals(me: Me, second: Second) -> list[ApprovalView]:
    """Return what is open, of oneself and of others whom one may agree to."""
    return [approval_view(each) for each in second.open(me)]


@post(
    "/approvals/{number:str}",
    operation_id="decideApproval",
    summary="Agree, or say no, as the second person",
    status_code=200,
    responses=_NAMED | {409: PROBLEMS[409]},
)
async def post_approval(
    me: Me, second: Second, number: FromPath[str], data: JSONBody[Verdict]
) -> ApprovalView:
    """Decide about what somebody else asked for."""
    return approval_view(await second.decide(me, number, approve=data.approve))


ROUTES = [
    get_accounts,
    post_account,
    post_invitation,
    patch_account,
    delete_account,
    get_tokens,
    post_token,
    delete_token,
    get_approvals,
    post_approval,
]


def _invitation(name: str, code: str, at: Where) -> Invitation:
    return Invitation(name, code, f"{at.site.origin}/#/invited/{code}")
