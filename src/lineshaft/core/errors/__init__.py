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

from lineshaft.core.errors.codes import code_of_traceback


class LineshaftError(Exception):
    """An expected failure, told in a sentence that a plant engineer understands."""

    kind = "Unreachable"
    """Which of the five it is, for subclasses too."""

    def __init__(self, text: str = "", *, code: str = "") -> None:
        self._code = code
        super().__init__(text)

    @property
    def stable_code(self) -> str:
        """Return the stable code, such as `LS-1212`, that `lineshaft explain` knows.

        It was given, or follows from the class and from where the error was raised.
        """
        return self._code or code_of_traceback(self.__traceback__, self.kind)


class ConfigError(LineshaftError):
    """Someone must edit the configuration; refuse to start.

    `problems` holds every fault that was found, one sentence each, so that a file
    is mended in one go.
    """

    kind = "ConfigError"

    def __init__(self, problems: str | Sequence[str], *, code: str = "") -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems), code=code)


class Unreachable(LineshaftError):
    """The other side is silent; wait, then try again."""

    kind = "Unreachable"


class Refused(LineshaftError):
    """The other side answered no; do not repeat the request."""

    kind = "Refused"


class NotFound(LineshaftError):
    """The name leads nowhere."""

    kind = "NotFound"


class Denied(LineshaftError):
    """The caller may not; write it in the audit trail."""

    kind = "Denied"
