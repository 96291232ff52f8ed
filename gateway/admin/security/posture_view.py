"""The values of the page of the posture: pure functions from a report.

Results are told by a shape and a word, since colour means protection alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from gateway.admin.pages.phrases import count
from gateway.admin.security.posture_reports import KeptReport
from gateway.security.posture.documents import frameworks, worst_first
from gateway.security.posture.report import Report

SHAPES: Final = {"pass": "up", "fail": "down", "warn": "degraded", "unknown": "unknown", "not applicable": "unknown"}
WORDS: Final = {
    "pass": "Pass",
    "fail": "Fail",
    "warn": "Warning",
    "unknown": "Unknown",
    "not applicable": "Not applicable",
}
MOST_KEPT: Final = 12
"""Reports of before on the page."""

Row = dict[str, Any]


def posture_view(report: Report, kept: Sequence[KeptReport]) -> dict[str, object]:
    """The values of the page."""
    findings = [_finding(row) for row in worst_first(cast("list[Row]", report["findings"]))]
    bad = [row for row in findings if row["result"] in ("fail", "warn")]
    return {
        "sentence": posture_sentence(report, bad),
        "report": report,
        "steps": [*cast("list[Row]", report["steps"])],
        "bad": bad,
        "unknown": [row for row in findings if row["result"] == "unknown"],
        "rest": [row for row in findings if row["result"] in ("pass", "not applicable")],
        "frameworks": frameworks(cast("list[Row]", report["controls"])),
        "kept": [*reversed(kept)][:MOST_KEPT],
    }


def posture_sentence(report: Report, bad: Sequence[Row]) -> str:
    """The score in words."""
    failing = [row for row in bad if row["result"] == "fail"]
    told = f"{report['score']:g} of 100 points, grade {report['grade']}"
    if not bad:
        return f"{told}: no check fails or warns."
    worst = failing[0] if failing else bad[0]
    counts = f"{count(len(failing), 'check')} {'fails' if len(failing) == 1 else 'fail'}"
    return f"{told}: {counts}, {len(bad) - len(failing)} warn. The gravest: {worst['id']}, “{worst['title']}”."


def _finding(row: Mapping[str, Any]) -> Row:
    result = str(row["result"])
    return {**row, "shape": SHAPES.get(result, "unknown"), "words": WORDS.get(result, result.capitalize())}
