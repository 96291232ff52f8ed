"""The judgement of all facts: findings, score, grade, and the worth of each next step.

    PostureFacts, Advisories -> assessed() -> Assessment -> report

100 points less those that findings cost, never below 0: a failed check costs its weight, a warning and an unknown half
of it. A grade says the same in a letter; A needs more than points, namely no call in clear for 30 days and no check
that fails. Steps come in the order of (points x share of calls) / effort.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import attrs

from gateway.security.posture.advisories import Advisories, our_advisories
from gateway.security.posture.checks import (
    access_checks,
    authentication_checks,
    encryption_checks,
    exposure_checks,
    fraud_checks,
    network_checks,
    operation_checks,
    srtp_checks,
    tls_checks,
)
from gateway.security.posture.checks.device_checks import device_checks
from gateway.security.posture.findings import Check, CheckResult, Effort, Finding, Gravity
from gateway.security.posture.posture_facts import PostureFacts
from gateway.security.posture.what_if import WhatIf, steps_of

MOST_POINTS: Final = 100.0
GRADES: Final = ((90.0, "A"), (80.0, "B"), (65.0, "C"), (50.0, "D"), (35.0, "E"), (0.0, "F"))
"""The least points of each grade."""
HOURS: Final[Mapping[Effort, float]] = {Effort.MINUTES: 1.0, Effort.HOURS: 8.0, Effort.REPLACE: 40.0}
"""The weight of an effort, in the order of steps."""
CHANGED: Final = ("ENC", "TLS", "SRTP")
"""Families of checks about facts that a step of `what_if` changes."""
SIMULATED: Final = frozenset({"ENC-1", "ENC-2", "ENC-6", "SRTP-2"})
"""Findings that only steps of `what_if` mend."""


@attrs.frozen
class NextStep:
    """Something to do, and its worth."""

    id: str
    title: str
    recommendation: str
    effort: Effort
    points: float
    """By which the score rises once it is done."""
    share: float
    """Of all calls (of phones, in a check about phones) the part that it protects."""
    checks: tuple[str, ...]
    """Those that are better for it."""
    worth: float
    """Points that findings cost less for it: as many as ``points``, but where the score is 0 anyway."""

    @property
    def rank(self) -> float:
        """The more, the sooner."""
        return self.worth * self.share / HOURS[self.effort]


@attrs.frozen
class Assessment:
    """The whole judgement."""

    facts: PostureFacts
    advisories: Advisories
    findings: tuple[Finding, ...]
    score: float
    grade: str
    steps: tuple[NextStep, ...]

    def counted(self) -> Mapping[str, int]:
        """The checks that fail or warn, by gravity; all four are there."""
        bad = Counter(
            str(one.check.gravity)
            for one in self.findings
            if one.judgement.outcome in (CheckResult.FAIL, CheckResult.WARN)
        )
        return {str(gravity): bad[str(gravity)] for gravity in Gravity}


def checks_by(advisories: Advisories) -> tuple[Check, ...]:
    """Every check, in the order of reports."""
    return (
        *encryption_checks.CHECKS,
        *tls_checks.CHECKS,
        *srtp_checks.CHECKS,
        *exposure_checks.CHECKS,
        *authentication_checks.CHECKS,
        *access_checks.CHECKS,
        *device_checks(advisories),
        *fraud_checks.CHECKS,
        *operation_checks.CHECKS,
        *network_checks.CHECKS,
    )


def assessed(facts: PostureFacts, advisories: Advisories | None = None) -> Assessment:
    """The judgement of these facts. Raises nothing but our bugs."""
    used = our_advisories() if advisories is None else advisories
    checks = checks_by(used)
    findings = judged(checks, facts)
    score = score_of(findings)
    steps = sorted(_steps(facts, findings), key=lambda step: (-step.rank, -step.points, step.id))
    return Assessment(facts, used, findings, score, grade_of(score, findings, facts), tuple(steps))


def judged(checks: Iterable[Check], facts: PostureFacts) -> tuple[Finding, ...]:
    """The finding of each check."""
    return tuple(Finding(check, check.judge(facts)) for check in checks)


def score_of(findings: Iterable[Finding]) -> float:
    """The points that are left of 100."""
    return max(0.0, MOST_POINTS - cost_of(findings))


def cost_of(findings: Iterable[Finding]) -> float:
    """The points that findings cost, however many."""
    return sum(one.cost for one in findings)


def grade_of(score: float, findings: Iterable[Finding], facts: PostureFacts) -> str:
    """The letter for a score."""
    found = next(letter for least, letter in GRADES if score >= least)
    is_clean = facts.clear_in_month == 0 and not any(one.judgement.outcome is CheckResult.FAIL for one in findings)
    return "B" if found == "A" and not is_clean else found


def _steps(facts: PostureFacts, findings: tuple[Finding, ...]) -> Iterator[NextStep]:
    mended: set[str] = set(SIMULATED)
    for one in steps_of(facts):
        step = _simulated(one, facts, findings)
        mended |= {name for name in step.checks if name == "ENC-3" or name.startswith("SRTP")}
        yield step
    for finding in findings:
        if finding.judgement.recommendation and finding.check.id not in mended:
            yield _alone(finding, findings)


def _simulated(one: WhatIf, facts: PostureFacts, before: tuple[Finding, ...]) -> NextStep:
    """A step of which the facts are known that it leads to: those that it changes are judged by the same checks."""
    after = [
        Finding(old.check, old.check.judge(one.facts)) if old.check.id.startswith(CHANGED) else old for old in before
    ]
    better = tuple(old.check.id for old, new in zip(before, after, strict=True) if new.cost < old.cost)
    share = facts.share(one.calls) if one.calls else 1.0
    points, worth = round(score_of(after) - score_of(before), 1), cost_of(before) - cost_of(after)
    return NextStep(one.id, one.title, one.recommendation, one.effort, points, share, better, worth)


def _alone(finding: Finding, findings: tuple[Finding, ...]) -> NextStep:
    """The step that a finding asks for by itself: the check passes, and no other changes."""
    points = round(score_of(one for one in findings if one is not finding) - score_of(findings), 1)
    check, told = finding.check, finding.judgement
    name, todo = (check.id,), told.recommendation
    return NextStep(check.id, check.title, todo, check.effort, points, told.share, name, finding.cost)
