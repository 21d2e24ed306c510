"""Tests that a policy carries: what it must say, tried."""

from dataclasses import dataclass

from lineshaft.core.reading import to_us
from lineshaft.security.access.document import Trial
from lineshaft.security.access.policy import Decision, Policy
from lineshaft.security.access.why import why


@dataclass(frozen=True, slots=True)
class Tried:
    """A test and what came of it."""

    trial: Trial
    decision: Decision
    sentence: str
    """Why the policy decides so."""

    @property
    def holds(self) -> bool:
        """Whether the decision is what the test expects."""
        return self.decision.outcome == self.trial.expect


def try_all(policy: Policy, now_us: int) -> list[Tried]:
    """Try every test of the policy, in order; those without a time as of `now_us`."""
    tried = []
    for trial in policy.document.test:
        at_us = to_us(trial.at) if trial.at else now_us
        decision = policy.decide(trial.who, trial.may, trial.on, at_us)
        tried.append(Tried(trial, decision, why(policy, decision, at_us).sentence))
    return tried
