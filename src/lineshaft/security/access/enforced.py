"""The policy that counts now: the version that was accepted last."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from lineshaft.core.errors import LineshaftError
from lineshaft.core.reading import to_us
from lineshaft.security.access.document import Document
from lineshaft.security.access.policy import Decision, Policy
from lineshaft.security.access.roles import Action

log = logging.getLogger(__name__)

LOOK_S = 2.0


class Enforced:
    """A service: `run` takes in each version that is accepted, until cancelled.

    A version that cannot be read changes nothing: the one before goes on to count.
    """

    def __init__(self, read: Callable[[], tuple[int, Document]]) -> None:
        """`read` returns the number of the newest version, 0 if none, and it."""
        self._read = read
        self.version, document = read()
        self.policy = Policy(document)
        self.trouble = ""
        """Why the newest version does not count; empty if it does."""

    async def run(self) -> None:
        """Look for a new version for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Look for a new version at once."""
        try:
            version, document = self._read()
        except LineshaftError as error:
            if str(error) != self.trouble:
                log.warning("the policy of before goes on to count: %s", error)
            self.trouble = str(error)
            return
        self.trouble = ""
        if version != self.version:
            self.policy, self.version = Policy(document), version
            log.info("policy version %d counts from now on", version)

    def decide(self, subject: str, action: Action, name: str) -> Decision:
        """Return whether a subject may do this to a point or place now."""
        return self.policy.decide(subject, action, name, now_us())

    def knows(self, subject: str) -> bool:
        """Whether the policy speaks of a subject."""
        return subject in self.policy.document.subjects


def now_us() -> int:
    """Return this moment, as decisions want it."""
    return to_us(datetime.now(UTC))
