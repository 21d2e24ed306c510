"""Kinds of action, and the roles that are names for sets of them."""

from collections.abc import Mapping
from enum import StrEnum


class Action(StrEnum):
    """What can be done to a place or a point."""

    READ = "read"
    WRITE = "write"
    COMMAND = "command"
    """Call a method of a machine, which is more than to set a value."""
    ACKNOWLEDGE = "acknowledge"
    CONFIGURE = "configure"
    ENROL = "enrol"
    EXPORT = "export"
    PUBLISH = "publish"
    """Say what a point's value is, as a device or an app does."""
    AUDIT_READ = "audit-read"


class Role(StrEnum):
    """A usual set of actions, under the name of who usually has it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    APP = "app"
    DEVICE = "device"


_OPERATES = frozenset({Action.READ, Action.WRITE, Action.COMMAND, Action.ACKNOWLEDGE})

ACTIONS_OF: Mapping[Role, frozenset[Action]] = {
    Role.VIEWER: frozenset({Action.READ}),
    Role.OPERATOR: _OPERATES,
    Role.ENGINEER: _OPERATES | {Action.CONFIGURE, Action.EXPORT},
    Role.ADMINISTRATOR: frozenset({Action.READ, Action.CONFIGURE, Action.ENROL}),
    Role.AUDITOR: frozenset({Action.READ, Action.AUDIT_READ}),
    Role.APP: frozenset({Action.READ, Action.PUBLISH}),
    Role.DEVICE: frozenset({Action.PUBLISH}),
}
"""Who manages accounts moves no machine, and who reads the audit trail changes
nothing (separation of duties, IEC 62443-3-3 SR 2.1)."""
