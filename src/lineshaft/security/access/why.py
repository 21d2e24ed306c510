"""Why a decision is what it is, as data and as a sentence."""

import msgspec

from lineshaft.core.errors import NotFound
from lineshaft.core.name import did_you_mean, matches
from lineshaft.core.reading import from_us
from lineshaft.security.access.document import Grant, Lasting, Rule
from lineshaft.security.access.policy import Decision, Policy, Reason


class Why(msgspec.Struct, frozen=True):
    """The reason of a decision."""

    sentence: str
    nearest: str = ""
    """Of a denial: the grant that comes closest to allowing it."""


def why(policy: Policy, decision: Decision, at_us: int) -> Why:
    """Return why `policy` decided so at that moment.

    It names rules, so it is for whoever may read the policy, not for who was denied.
    """
    asked = f"{decision.subject} may not {decision.action} {decision.name}"
    if decision.reason is Reason.NO_GRANT:
        return _nearest(policy, decision, at_us, asked)
    if decision.reason in _BY_RULE:
        return Why(_by_rule(policy, decision))
    subject = policy.document.subjects.get(decision.subject)
    if decision.reason is Reason.UNKNOWN or subject is None:
        near = did_you_mean(decision.subject, list(policy.document.subjects))
        said = f"the policy knows no subject {decision.subject!r}{near}"
    elif decision.reason is Reason.NO_NAME:
        said = f"{decision.name!r} is not the name of a point or a place"
    elif decision.reason is Reason.OTHER_TENANT:
        said = f"{decision.subject} belongs to the tenant {subject.tenant!r}"
    else:
        said = f"{decision.subject} {_when(subject, at_us)}"
    return Why(f"{asked}: {said}")


_BY_RULE = {
    Reason.GRANTED: "may {}: grant {}",
    Reason.NEEDS_APPROVAL: "may {} once a second person agrees: approval {}",
    Reason.DENIED: "may not {}: {} denies it, which outweighs every grant",
}


def _by_rule(policy: Policy, decision: Decision) -> str:
    deed = f"{decision.action} {decision.name}"
    said = _BY_RULE[decision.reason].format(deed, repr(decision.rule))
    rule = policy.rule(decision.rule)
    note = f" ({rule.note})" if rule and rule.note else ""
    return f"{decision.subject} {said}{note}"


def _when(lasting: Lasting, at_us: int) -> str:
    """Say when it begins or ended to count."""
    since, until, now = lasting.since, lasting.until, from_us(at_us)
    if since and now < since:
        return f"counts only from {since.isoformat()}"
    return f"has not counted since {until.isoformat()}" if until else "does not count"


def _nearest(policy: Policy, decision: Decision, at_us: int, asked: str) -> Why:
    """Explain that nothing allowed it, by the grant that comes closest."""
    holders = set(policy.holders_of(decision.subject))
    mine = [grant for grant in policy.document.grant if holders & set(grant.who)]
    if not mine:
        return Why(f"{asked}: no grant names {decision.subject} or a group of it")
    best = max(mine, key=lambda grant: _closeness(grant, decision, at_us))
    covers, acts = _covers(best, decision.name), decision.action in best.actions
    may = ", ".join(sorted(best.actions))
    if covers and acts:
        said = f"the nearest grant, {best.name!r}, {_when(best, at_us)}"
    elif covers:
        said = f"the nearest grant, {best.name!r}, is to {may} here"
    else:
        said = f"the nearest grant, {best.name!r}, is to {may} {' and '.join(best.on)}"
    return Why(f"{asked}: no grant allows it; {said}", best.name)


def _closeness(grant: Grant, decision: Decision, at_us: int) -> tuple[int, ...]:
    """Order grants: what only the time forbids, then what counts, here, to do this."""
    covers, acts = _covers(grant, decision.name), decision.action in grant.actions
    shared = max(_shared(pattern, decision.name) for pattern in grant.on)
    return covers and acts, grant.counts_at(from_us(at_us)), covers, acts, shared


def _covers(rule: Rule, name: str) -> bool:
    try:
        return any(matches(pattern, name) for pattern in rule.on)
    except NotFound:
        return False


def _shared(pattern: str, name: str) -> int:
    """Count the segments that a pattern and a name have in common at the front."""
    count = 0
    for wanted, given in zip(pattern.split("/"), name.split("/"), strict=False):
        if wanted not in (given, "*"):
            break
        count += 1
    return count
