"""Foundational requirement 2: use control."""

from lineshaft.security.assess.seen import Finding, Seen, Status

MET, PARTLY, NOT, OUTSIDE = Status.MET, Status.PARTLY, Status.NOT, Status.OUTSIDE
AUDITED = ("login.password", "access.write", "command.write", "account.made")


def sr_2_1(seen: Seen) -> Finding:
    policy = seen.policy
    if not policy.version:
        return Finding(PARTLY, "no policy was accepted: nobody but the owner may act")
    if policy.failing or not policy.is_file_accepted:
        why = f"{policy.failing} tests fail" if policy.failing else "the file differs"
        return Finding(PARTLY, f"policy version {policy.version} counts; {why}")
    two = f"{seen.points_limited} of {seen.points_writable} writable points"
    return Finding(
        MET,
        f"version {policy.version}: {policy.subjects} subjects, roles "
        f"{', '.join(policy.roles) or 'none'}; {two} need two people",
    )


def sr_2_2(_: Seen) -> Finding:
    return Finding(OUTSIDE, "wireless networks are not watched by this software")


def sr_2_3(_: Seen) -> Finding:
    return Finding(OUTSIDE, "devices that people bring are not seen by this software")


def sr_2_4(seen: Seen) -> Finding:
    if seen.is_from_source:
        return Finding(PARTLY, "it runs from a source tree that anybody may change")
    return Finding(
        MET, "the page runs no script but its own; expressions cannot run programs"
    )


def sr_2_5(seen: Seen) -> Finding:
    return Finding(MET, f"idle sessions look on only, after {seen.people.idle_min} min")


def sr_2_6(seen: Seen) -> Finding:
    if not seen.is_running:
        return Finding(PARTLY, "no plant runs whose sessions could be ended")
    return Finding(
        MET, f"{seen.people.sessions} sessions are kept here, each ends within seconds"
    )


def sr_2_7(seen: Seen) -> Finding:
    return Finding(MET, f"at most {seen.people.most_sessions} sessions of one person")


def sr_2_8(seen: Seen) -> Finding:
    if seen.audit is None:
        return Finding(NOT, "there is no audit log yet")
    found = [kind for kind in AUDITED if kind in seen.audit.kinds]
    told = f"{seen.audit.entries} entries of {len(seen.audit.kinds)} kinds"
    return Finding(MET if found else PARTLY, told)


def sr_2_9(seen: Seen) -> Finding:
    if seen.audit is None:
        return Finding(NOT, "there is no audit log yet")
    if seen.audit.trouble:
        return Finding(PARTLY, seen.audit.trouble)
    return Finding(MET, f"watched; a warning at {seen.audit.warn_gib} GiB")


def sr_2_10(seen: Seen) -> Finding:
    if seen.audit is None or not seen.is_running:
        return Finding(PARTLY, "no plant runs whose audit room could be asked")
    if seen.audit.trouble:
        return Finding(PARTLY, f"the plant goes on: {seen.audit.trouble}")
    return Finding(
        MET, "the plant goes on; records wait on disk and bus, and the health tells"
    )


def sr_2_11(seen: Seen) -> Finding:
    if seen.audit is None:
        return Finding(NOT, "there is no audit log yet")
    return Finding(
        PARTLY, "records bear UTC; whether the clock is synchronized is not looked at"
    )


def sr_2_12(seen: Seen) -> Finding:
    if seen.audit is None or seen.audit.problems:
        return Finding(NOT, "there is no audit log that holds")
    if not seen.audit.has_witness:
        return Finding(PARTLY, "signed log without a witness: its owner could redo it")
    return Finding(PARTLY, "signed and witnessed log; people do not sign by themselves")
