"""Foundational requirement 1: identification and authentication control."""

from lineshaft.security.assess.seen import Finding, Seen, Status

MET, PARTLY, NOT, OUTSIDE = Status.MET, Status.PARTLY, Status.NOT, Status.OUTSIDE


def sr_1_1(seen: Seen) -> Finding:
    people = seen.people
    if people.loopback == "login" and people.accounts:
        factors = f"{people.with_second_factor} of {people.accounts} with two factors"
        return Finding(MET, f"everybody logs in; {factors}")
    if people.loopback == "owner":
        told = "who runs the plant on this machine needs no login (people.loopback)"
        return Finding(PARTLY, f"{told}; {people.accounts} accounts")
    return Finding(NOT, "everybody must log in, and there is no account yet")


def sr_1_2(seen: Seen) -> Finding:
    if not seen.is_bus_own:
        return Finding(PARTLY, "the bus is run by others; its accounts are not seen")
    if seen.has_open_mqtt or seen.has_open_opcua:
        doors = [
            name
            for name, is_open in {
                "bus.mqtt_port": seen.has_open_mqtt,
                "northbound.opcua": seen.has_open_opcua,
            }.items()
            if is_open
        ]
        return Finding(
            PARTLY,
            f"rooms have a user each on the bus; {' and '.join(doors)} asks nobody on "
            "loopback who it is",
        )
    if not seen.is_running:
        return Finding(PARTLY, "no plant runs whose rooms could be seen on the bus")
    told = f"{seen.identity.valid} certificates count"
    return Finding(MET, f"each room has a user of its own on the bus; {told}")


def sr_1_3(seen: Seen) -> Finding:
    people = seen.people
    if not people.accounts:
        return Finding(NOT, "there is no account")
    if people.unknown_to_policy:
        names = ", ".join(people.unknown_to_policy[:5])
        return Finding(PARTLY, f"the policy knows nothing of the accounts {names}")
    idle = f"{people.never_used} never used, {people.disabled} disabled"
    return Finding(MET, f"{people.accounts} accounts, all known to the policy; {idle}")


def sr_1_4(seen: Seen) -> Finding:
    if not seen.people.accounts:
        return Finding(PARTLY, "no name is given twice; there is no account to see")
    return Finding(
        MET, f"{seen.people.accounts} names, unique, none of which is given twice"
    )


def sr_1_5(seen: Seen) -> Finding:
    if seen.open_to_others:
        names = ", ".join(seen.open_to_others[:3])
        return Finding(NOT, f"others on this machine can read {names}")
    return Finding(
        MET, "files with secrets are for the plant's user alone; no default passwords"
    )


def sr_1_6(_: Seen) -> Finding:
    return Finding(OUTSIDE, "wireless networks are not managed by this software")


def sr_1_7(seen: Seen) -> Finding:
    days = seen.people.password_days
    if days is None:
        return Finding(
            PARTLY,
            "Argon2id, 12 characters, a list of what everybody tries; passwords never "
            "end (people.password_days)",
        )
    return Finding(MET, f"Argon2id, 12 characters, a list of what all try; {days} days")


def sr_1_8(seen: Seen) -> Finding:
    identity = seen.identity
    if not identity.exists:
        return Finding(NOT, "there is no authority yet: `lineshaft trust show`")
    if identity.expired or (identity.is_root_here and not identity.has_passphrase):
        told = f"{identity.expired} certificates are over and were not renewed"
        where = "the root's key lies here without a passphrase"
        return Finding(PARTLY, told if identity.expired else where)
    return Finding(
        MET, f"own authority, {identity.valid} certificates, {identity.revoked} revoked"
    )


def sr_1_9(seen: Seen) -> Finding:
    if not seen.identity.listens:
        return Finding(PARTLY, "nobody is checked by certificate: no [identity] port")
    return Finding(
        MET, "chain, time, revocation, use and kind of key are checked at enrolment"
    )


def sr_1_10(seen: Seen) -> Finding:
    if seen.refuses_strangers is None:
        return Finding(PARTLY, "no plant runs, so no answer could be looked at")
    if not seen.refuses_strangers:
        return Finding(NOT, "a token that is none was not refused as it must be")
    return Finding(MET, "a token that is none was refused, without a reason")


def sr_1_11(seen: Seen) -> Finding:
    if seen.audit is None or "login.password" not in seen.audit.kinds:
        return Finding(PARTLY, "failures slow strangers down; none was seen yet")
    return Finding(
        MET, "failures slow strangers down, known browsers not; they are written down"
    )


def sr_1_12(seen: Seen) -> Finding:
    if seen.people.has_banner:
        return Finding(MET, "people.banner is shown before each login")
    return Finding(NOT, "people.banner is empty")


def sr_1_13(seen: Seen) -> Finding:
    if seen.is_loopback_only:
        return Finding(MET, "nothing listens beyond this machine")
    if not seen.is_tls or seen.people.second_factor != "required":
        return Finding(
            PARTLY, "it is reached from afar, and people.second_factor is optional"
        )
    return Finding(PARTLY, "TLS and a second factor; no approval for each access")
