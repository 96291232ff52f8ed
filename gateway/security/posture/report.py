"""The report: an assessment as JSON, as posture.schema.json describes it; and the difference to an earlier one.

    Assessment -> report_of -> JSON -> documents (text, HTML), signature
    earlier report, this report -> delta_of -> new, worse, better, gone

An earlier report may be of another version of the gateway: checks that it does not know are new, those that are gone
are told, and nothing else of it is believed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from gateway.base.json_codec import Json
from gateway.observe.clean_text import clean_json
from gateway.security.posture.assessment import Assessment, NextStep
from gateway.security.posture.controls import CONTROLS, FrameworkControl, controls_of
from gateway.security.posture.findings import WEIGHTS, Finding
from gateway.security.posture.posture_facts import PostureFacts
from gateway.state.listing.call_groups import CallGroup

FORMAT: Final = "gateway-posture"
FORMAT_VERSION: Final = 1
SCHEMA_FILE: Final = Path(__file__).with_name("posture.schema.json")
MOST_KINDS: Final = 200
"""Kinds of devices in the list of assets."""
BADNESS: Final = {"pass": 0, "not applicable": 0, "unknown": 1, "warn": 2, "fail": 3}
"""The order of outcomes, the best first."""

Report = dict[str, Json]


class NoReport(ValueError):
    """A file or answer is no report; the message is one line."""


def report_of(one: Assessment, earlier: Report | None = None) -> Report:
    """The report as JSON: every text in it is clean."""
    facts = one.facts
    report: Report = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "gateway": facts.gateway,
        "version": facts.version,
        "at": facts.at,
        "since": facts.since,
        "domain": facts.only_domain or None,
        "score": one.score,
        "grade": one.grade,
        "findings": [_finding(found) for found in one.findings],
        "steps": [_step(step) for step in one.steps],
        "assets": _assets(facts),
        "calls": {"window": _counts(facts.calls), "day": _counts(facts.day), "clear_in_month": facts.clear_in_month},
        "controls": [_control(control) for control in CONTROLS],
        "advisories": {"date": one.advisories.date.isoformat(), "count": len(one.advisories.known)},
        "delta": None,
    }
    cleaned = cast(Report, clean_json(report))
    return {**cleaned, "delta": None if earlier is None else delta_of(earlier, cleaned)}


def _finding(found: Finding) -> Json:
    check, told = found.check, found.judgement
    return {
        "id": check.id,
        "title": check.title,
        "severity": str(check.gravity),
        "result": str(told.outcome),
        "evidence": [{"text": line.text, "count": line.count} for line in told.evidence],
        "why": check.why,
        "recommendation": told.recommendation,
        "effort": str(check.effort),
        "gain": {"points": found.cost, "of": WEIGHTS[check.gravity], "share": round(told.share, 4)},
        "controls": [
            {"framework": one.framework, "control": one.control, "verified": one.is_verified}
            for one in controls_of(check.id)
        ],
    }


def _step(step: NextStep) -> Json:
    return {
        "id": step.id,
        "title": step.title,
        "recommendation": step.recommendation,
        "effort": str(step.effort),
        "points": step.points,
        "share": round(step.share, 4),
        "checks": [*step.checks],
    }


def _control(one: FrameworkControl) -> Json:
    return {
        "framework": one.framework,
        "control": one.control,
        "title": one.title,
        "checks": [*one.checks],
        "verified": one.is_verified,
        "source": one.source,
    }


def _assets(facts: PostureFacts) -> Json:
    """The inventory of all that is protected: for the chapter of assets, and for lists of keys and ciphers."""
    devices = sorted(facts.devices or (), key=lambda kind: -kind.devices)
    return {
        "domains": [{"name": one.name, "security": one.security, "provider": one.provider} for one in facts.domains],
        "listeners": [
            {"name": one.name, "side": one.side, "transport": one.transport, "address": one.address}
            for one in facts.listeners
        ],
        "certificates": [{"listener": one.listener, "days_left": one.days_left} for one in facts.certificates or ()],
        "ciphers": [
            {"peer": one.peer or one.side, "version": one.version, "cipher": one.cipher, "handshakes": one.handshakes}
            for one in facts.handshakes or ()
        ],
        "suites": [
            {"side": side, "suite": suite, "streams": number} for (side, suite), number in (facts.suites or {}).items()
        ],
        "devices": [
            {"make": one.make, "model": one.model, "firmware": one.firmware, "devices": one.devices}
            for one in devices[:MOST_KINDS]
        ],
        "phones": sum((facts.phones or {}).values()),
    }


def _counts(calls: Sequence[CallGroup]) -> Json:
    counted: Counter[str] = Counter()
    for one in calls:
        counted[one.verdict or "UNKNOWN"] += one.calls
    return dict(sorted(counted.items()))


def checked_report(value: object) -> Report:
    """A report that came from elsewhere, as far as it is needed here. Raises NoReport."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise NoReport("this is no report of gatewayctl assess --format json")
    if value.get("format_version") != FORMAT_VERSION:
        raise NoReport(
            f"this report has format {str(value.get('format_version'))[:20]}, and this version reads {FORMAT_VERSION}"
        )
    findings = value.get("findings")
    if not isinstance(value.get("score"), int | float) or not isinstance(findings, list):
        raise NoReport("this report has no score, or no findings")
    return cast(Report, value)


def delta_of(earlier: Report, now: Report) -> Json:
    """The difference to an earlier report: checks by their ids."""
    before, after = outcomes_of(earlier), outcomes_of(now)
    both = [name for name in after if name in before]
    return {
        "at": _number(earlier.get("at")),
        "score": round((_number(now.get("score")) or 0.0) - (_number(earlier.get("score")) or 0.0), 1),
        "new": [name for name in after if name not in before],
        "gone": [name for name in before if name not in after],
        "worse": [name for name in both if _badness(after[name]) > _badness(before[name])],
        "better": [name for name in both if _badness(after[name]) < _badness(before[name])],
    }


def is_worse(delta: Json) -> bool:
    """Whether a check is worse than in the earlier report."""
    return isinstance(delta, dict) and bool(delta.get("worse"))


def outcomes_of(report: Report) -> Mapping[str, str]:
    """The outcome of each check in a report."""
    findings = report.get("findings")
    rows = [row for row in findings if isinstance(row, dict)] if isinstance(findings, list) else []
    return {str(clean_json(row.get("id")))[:20]: str(row.get("result")) for row in rows}


def _badness(outcome: str) -> int:
    """An outcome that another version has is taken for unknown."""
    return BADNESS.get(outcome, BADNESS["unknown"])


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
