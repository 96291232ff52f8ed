"""A check, and the finding that it makes of the facts.

    Check.judge(facts) -> Judgement -> Finding (with all that the check is, for a report)

Here: the values, and short ways to make a judgement. Not here: the checks (checks/), the score (assessment).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Final

import attrs

from gateway.security.posture.posture_facts import PostureFacts

MOST_EVIDENCE: Final = 20
"""Lines of evidence of one finding; of more, it is said how many there are."""


class Gravity(StrEnum):
    """How grave it is where a check fails."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


WEIGHTS: Final[Mapping[Gravity, float]] = {
    Gravity.CRITICAL: 25.0,
    Gravity.HIGH: 10.0,
    Gravity.MEDIUM: 4.0,
    Gravity.LOW: 1.0,
}
"""The points that a check costs when it fails."""


class CheckResult(StrEnum):
    """The answer of a check."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    WARN = "warn"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"


COSTS: Final[Mapping[CheckResult, float]] = {CheckResult.FAIL: 1.0, CheckResult.WARN: 0.5, CheckResult.UNKNOWN: 0.5}
"""The part of its points that a check costs with each outcome; nothing with the others."""


class Effort(StrEnum):
    """The work that a recommendation asks for."""

    MINUTES = "minutes"
    HOURS = "hours"
    REPLACE = "replace hardware"


@attrs.frozen
class Evidence:
    """A fact that a finding rests on."""

    text: str
    count: int | None = None


@attrs.frozen
class Judgement:
    """The outcome of a check, with its reasons."""

    outcome: CheckResult
    evidence: tuple[Evidence, ...] = ()
    recommendation: str = ""
    """With the exact key or command; empty where there is nothing to do."""
    share: float = 1.0
    """Of all calls (of phones, in a check about phones) the part that it would protect, 0 to 1."""


@attrs.frozen
class Check:
    """A question about the posture, and how it is answered."""

    id: str
    title: str
    gravity: Gravity
    why: str
    """One sentence."""
    effort: Effort
    judge: Callable[[PostureFacts], Judgement]


@attrs.frozen
class Finding:
    """A check with its judgement."""

    check: Check
    judgement: Judgement

    @property
    def cost(self) -> float:
        """Points that it costs."""
        return WEIGHTS[self.check.gravity] * COSTS.get(self.judgement.outcome, 0.0)


def passed(*evidence: str | Evidence) -> Judgement:
    """All is well."""
    return Judgement(CheckResult.PASS, _lines(evidence))


def failed(recommendation: str, evidence: Iterable[str | Evidence], share: float = 1.0) -> Judgement:
    """It has to be mended."""
    return Judgement(CheckResult.FAIL, _lines(evidence), recommendation, share)


def warned(recommendation: str, evidence: Iterable[str | Evidence], share: float = 1.0) -> Judgement:
    """It could be better."""
    return Judgement(CheckResult.WARN, _lines(evidence), recommendation, share)


def unknown(why: str, recommendation: str = "") -> Judgement:
    """Nothing here can tell."""
    return Judgement(CheckResult.UNKNOWN, (Evidence(why),), recommendation)


def not_applicable(why: str) -> Judgement:
    """There is nothing to judge."""
    return Judgement(CheckResult.NOT_APPLICABLE, (Evidence(why),))


def _lines(evidence: Iterable[str | Evidence]) -> tuple[Evidence, ...]:
    lines = [one if isinstance(one, Evidence) else Evidence(one) for one in evidence]
    if len(lines) <= MOST_EVIDENCE:
        return tuple(lines)
    left_out = len(lines) - MOST_EVIDENCE + 1
    return (*lines[: MOST_EVIDENCE - 1], Evidence(f"and {left_out:,} more", left_out))
