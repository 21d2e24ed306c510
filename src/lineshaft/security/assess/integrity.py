"""Foundational requirements 3 and 4: system integrity and data confidentiality."""

from lineshaft.security.assess.seen import Finding, Seen, Status

MET, PARTLY, NOT, OUTSIDE = Status.MET, Status.PARTLY, Status.NOT, Status.OUTSIDE


def sr_3_1(seen: Seen) -> Finding:
    if seen.is_loopback_only:
        return Finding(
            PARTLY, "nothing leaves this machine but the machines' protocols"
        )
    if not seen.is_tls:
        return Finding(NOT, "it is reached from afar without TLS")
    return Finding(PARTLY, "TLS 1.3 for the page; machines' protocols are as they are")


def sr_3_2(_: Seen) -> Finding:
    return Finding(OUTSIDE, "protection against malicious code is the machine's")


def sr_3_3(seen: Seen) -> Finding:
    failing = seen.policy.failing
    if not seen.policy.tests:
        return Finding(PARTLY, "this report; the policy has no tests of its own")
    if failing:
        return Finding(NOT, f"{failing} tests of the policy fail")
    return Finding(MET, f"{seen.policy.tests} tests of the policy hold, as this report")


def sr_3_4(seen: Seen) -> Finding:
    if seen.changed_files:
        return Finding(NOT, f"{seen.changed_files} files are not as installed")
    if seen.is_from_source:
        return Finding(PARTLY, "it runs from a source tree: nothing to compare with")
    return Finding(MET, "every file is as it was installed (`lineshaft verify`)")


def sr_3_5(seen: Seen) -> Finding:
    if seen.refuses_nonsense is None:
        return Finding(PARTLY, "no plant runs that could be asked nonsense")
    if not seen.refuses_nonsense:
        return Finding(NOT, "the API did not refuse a parameter that makes no sense")
    return Finding(MET, "a parameter that makes no sense was refused, and named")


def sr_3_6(seen: Seen) -> Finding:
    if not seen.points_writable:
        return Finding(MET, "no point is writable, so no output is set")
    return Finding(PARTLY, "commands end in time; the safe state is the machine's")


def sr_3_7(seen: Seen) -> Finding:
    if seen.hides_internals is None:
        return Finding(PARTLY, "no plant runs whose answers could be looked at")
    if not seen.hides_internals:
        return Finding(NOT, "an error told of the insides of the plant")
    return Finding(MET, "an error has a code and tells nothing of the insides")


def sr_3_8(seen: Seen) -> Finding:
    if not seen.is_tls and not seen.is_loopback_only:
        return Finding(NOT, "sessions travel without TLS")
    return Finding(
        MET, f"{seen.people.sessions} sessions, 256 random bits each, ended by us"
    )


def sr_3_9(seen: Seen) -> Finding:
    audit = seen.audit
    if audit is None:
        return Finding(NOT, "there is no audit log yet")
    if audit.problems:
        return Finding(NOT, audit.problems[0])
    witness = "with a witness" if audit.has_witness else "without a witness"
    return Finding(MET, f"all {audit.entries} entries are as written, {witness}")


def sr_4_1(seen: Seen) -> Finding:
    if seen.open_to_others:
        return Finding(NOT, f"others can read {seen.open_to_others[0]}")
    if not seen.is_loopback_only and not seen.is_tls:
        return Finding(NOT, "values pass the network without TLS")
    if not seen.is_labelled:
        return Finding(PARTLY, "data are not labelled, so none is sealed")
    return Finding(
        PARTLY, f"labelled, {seen.data_keys} keys; the open history is not sealed"
    )


def sr_4_2(seen: Seen) -> Finding:
    if not seen.data_keys and not seen.destroyed_keys:
        return Finding(PARTLY, "data can be destroyed with their key; no key is there")
    return Finding(
        PARTLY,
        f"{seen.data_keys} keys, {seen.destroyed_keys} destroyed; what was never "
        "sealed is only deleted",
    )


def sr_4_3(seen: Seen) -> Finding:
    told = "TLS 1.3, P-256, Ed25519, AES-256-GCM or SM4-GCM, SHA-256, Argon2id"
    if seen.is_loopback_only and not seen.is_tls:
        return Finding(PARTLY, f"{told}; plain HTTP on loopback")
    if not seen.is_tls:
        return Finding(NOT, "values pass the network in the clear")
    return Finding(MET, told)
