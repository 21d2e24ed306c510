"""Foundational requirements 5 to 7: flow of data, response, and resources."""

from lineshaft.security.assess.seen import Finding, Seen, Status

MET, PARTLY, NOT, OUTSIDE = Status.MET, Status.PARTLY, Status.NOT, Status.OUTSIDE
_NOBODY_RUNS = "no plant runs, so nothing could be looked at"


def sr_5_1(_: Seen) -> Finding:
    return Finding(OUTSIDE, "networks are divided by their own devices")


def sr_5_2(seen: Seen) -> Finding:
    if seen.is_loopback_only:
        return Finding(MET, "nothing listens beyond this machine")
    return Finding(PARTLY, "TLS and a login at the boundary; no island mode")


def sr_5_3(_: Seen) -> Finding:
    return Finding(MET, "it has neither mail nor chat")


def sr_5_4(seen: Seen) -> Finding:
    if not seen.is_bus_own:
        return Finding(PARTLY, "rooms are processes; the bus is run by others")
    return Finding(
        MET, "rooms are processes, each with the subjects of the bus that are its own"
    )


def sr_6_1(seen: Seen) -> Finding:
    if seen.audit is None:
        return Finding(NOT, "there is no audit log yet")
    return Finding(
        MET, f"{seen.audit.entries} entries to be read by auditors, API and files alike"
    )


def sr_6_2(seen: Seen) -> Finding:
    if not seen.is_running:
        return Finding(NOT, _NOBODY_RUNS)
    return Finding(
        PARTLY, f"health is {seen.health}; networks are not listened to for intruders"
    )


def sr_7_1(seen: Seen) -> Finding:
    if not seen.is_running:
        return Finding(PARTLY, _NOBODY_RUNS)
    return Finding(
        PARTLY, "bounds on bodies, sessions and buffers; no limit of requests a second"
    )


def sr_7_2(seen: Seen) -> Finding:
    if not seen.is_running:
        return Finding(PARTLY, _NOBODY_RUNS)
    return Finding(MET, "every buffer is bounded and told in the health")


def sr_7_3(seen: Seen) -> Finding:
    if not seen.backups:
        return Finding(NOT, "the audit log tells of no back-up: `lineshaft backup`")
    return Finding(PARTLY, f"{seen.backups} back-ups are written down; not scheduled")


def sr_7_4(seen: Seen) -> Finding:
    if not seen.backups:
        return Finding(NOT, "without a back-up nothing can be restored")
    return Finding(PARTLY, "`lineshaft restore`; no drill was written down")


def sr_7_5(_: Seen) -> Finding:
    return Finding(OUTSIDE, "emergency power is not this software's")


def sr_7_6(seen: Seen) -> Finding:
    if not seen.policy.is_file_accepted:
        return Finding(PARTLY, "policy.toml differs from the version that counts")
    return Finding(
        MET, "the configuration is one file, checked as a whole, with a schema"
    )


def sr_7_7(seen: Seen) -> Finding:
    if not seen.is_running:
        return Finding(PARTLY, _NOBODY_RUNS)
    if seen.undeclared:
        return Finding(NOT, seen.undeclared[0])
    return Finding(MET, "only declared ports are open (`lineshaft listeners`)")


def sr_7_8(seen: Seen) -> Finding:
    told = "`lineshaft sbom` lists what it is made of"
    return Finding(MET if seen.version else NOT, f"{told}, version {seen.version}")
