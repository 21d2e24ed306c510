"""What was seen of an installation at one moment; findings follow from it alone."""

from enum import StrEnum

import msgspec


class Status(StrEnum):
    """How far a requirement is met."""

    MET = "met"
    PARTLY = "partly"
    NOT = "not"
    OUTSIDE = "outside"
    """Software cannot meet it; whoever runs the plant must show it elsewhere."""


class Finding(msgspec.Struct, frozen=True):
    """How far a requirement is met, and by what that is seen."""

    status: Status
    evidence: str


class People(msgspec.Struct, frozen=True):
    """Accounts and how they are proved."""

    accounts: int = 0
    disabled: int = 0
    with_second_factor: int = 0
    never_used: int = 0
    sessions: int = 0
    tokens: int = 0
    unknown_to_policy: tuple[str, ...] = ()
    loopback: str = "owner"
    second_factor: str = "optional"
    password_days: int | None = None
    idle_min: float = 30.0
    most_sessions: int = 5
    has_banner: bool = False
    single_sign_on: bool = False


class Policy(msgspec.Struct, frozen=True):
    """The policy that counts."""

    version: int = 0
    subjects: int = 0
    roles: tuple[str, ...] = ()
    approvals: int = 0
    tests: int = 0
    failing: int = 0
    is_file_accepted: bool = True


class Audit(msgspec.Struct, frozen=True):
    """The audit log."""

    entries: int = 0
    problems: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    has_witness: bool = False
    warn_gib: float = 5.0
    trouble: str = ""


class Identity(msgspec.Struct, frozen=True):
    """The authority and what it issued."""

    exists: bool = False
    valid: int = 0
    expired: int = 0
    revoked: int = 0
    is_root_here: bool = True
    has_passphrase: bool = False
    listens: bool = False


class Seen(msgspec.Struct, frozen=True):
    """All of it."""

    people: People = People()
    policy: Policy = Policy()
    audit: Audit | None = None
    identity: Identity = Identity()
    open_to_others: tuple[str, ...] = ()
    """Files with secrets that others on the machine can read."""
    is_tls: bool = False
    is_loopback_only: bool = True
    is_bus_own: bool = True
    """Whether the bus is the embedded one, whose accounts are ours."""
    has_open_mqtt: bool = False
    has_open_opcua: bool = False
    is_labelled: bool = False
    data_keys: int = 0
    destroyed_keys: int = 0
    is_running: bool = False
    health: str = ""
    """What the plant says of itself now: its status."""
    refuses_nonsense: bool | None = None
    """Whether the API refused what makes no sense, just now; None: not tried."""
    hides_internals: bool | None = None
    """Whether that answer told nothing of its insides."""
    refuses_strangers: bool | None = None
    """Whether a token that is none was refused, just now, without a reason."""
    undeclared: tuple[str, ...] = ()
    """Sockets that are not on the declared list."""
    changed_files: int = 0
    is_from_source: bool = False
    """Whether it runs from a source tree, where nothing can be compared."""
    points_writable: int = 0
    points_limited: int = 0
    """Writable points for which the policy wants two people."""
    backups: int = 0
    """Back-ups that the audit log tells of."""
    version: str = ""
