"""Every error we raise on purpose, named for what the caller should do next.

LineshaftError
    ConfigError     someone must edit the configuration; refuse to start
    Unreachable     the other side is silent; wait, then try again
    Refused         the other side answered no; do not repeat the request
    NotFound        the name leads nowhere
    Denied          the caller may not; write it in the audit trail

A value that cannot be trusted is not an error: it is a reading of quality BAD.
Anything else is a bug: let it crash and leave a traceback.
"""

from collections.abc import Sequence


class LineshaftError(Exception):
    """An expected failure, told in a sentence that a plant engineer understands."""


class ConfigError(LineshaftError):
    """Someone must edit the configuration; refuse to start.

    `problems` holds every fault that was found, one sentence each, so that a file
    is mended in one go.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class Unreachable(LineshaftError):
    """The other side is silent; wait, then try again."""


class Refused(LineshaftError):
    """The other side answered no; do not repeat the request."""


class NotFound(LineshaftError):
    """The name leads nowhere."""


class Denied(LineshaftError):
    """The caller may not; write it in the audit trail."""
