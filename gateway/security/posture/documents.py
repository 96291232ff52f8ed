"""A report for people: as text, and as one HTML file without scripts, which a browser prints.

    report (JSON) -> as_text, as_html

The report may come from another gateway, or a file: each text in it is made clean, and the template escapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from gateway.observe.clean_text import clean_json
from gateway.security.posture.report import BADNESS, Report

TEMPLATE: Final = "report.html"
SEVERITIES: Final = ("critical", "high", "medium", "low")
SIGNS: Final = {"pass": "ok", "fail": "FAIL", "warn": "warn", "unknown": "?", "not applicable": "-"}

Row = Mapping[str, Any]


def as_text(report: Report) -> str:
    """The report as lines: score, difference, next steps, findings that are not well, and those that are."""
    told = cast(Report, clean_json(report))
    rows = worst_first(_rows(told, "findings"))
    bad = [row for row in rows if row["result"] in ("fail", "warn")]
    unknown = [row for row in rows if row["result"] == "unknown"]
    parts = [
        _head(told),
        _delta(told),
        _titled("Next steps", [_step_line(row) for row in _rows(told, "steps")[:10]]),
        _titled("Findings", [line for row in bad for line in _finding_lines(row)]),
        _titled("Not known", [line for row in unknown for line in _finding_lines(row)]),
        _titled("Well", [f"  {row['id']:8}{row['title']}" for row in rows if row["result"] == "pass"]),
        _titled("Controls", _control_lines(_rows(told, "controls"))),
    ]
    return "\n\n".join(part for part in parts if part)


def as_html(report: Report) -> str:
    """The report as one HTML file: no script, nothing from elsewhere, a style for paper."""
    told = cast(Report, clean_json(report))
    return _template().render(
        report=told,
        findings=worst_first(_rows(told, "findings")),
        when=moment,
        signs=SIGNS,
        frameworks=frameworks(_rows(told, "controls")),
    )


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """Findings in the order of their result and severity."""

    def place(row: Row) -> tuple[int, int]:
        severity = str(row["severity"])
        known = SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
        return -BADNESS.get(str(row["result"]), 1), known

    return sorted(rows, key=place)


def frameworks(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Controls by framework."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row["framework"]), []).append(row)
    return found


def moment(at: object) -> str:
    """A time in seconds since the epoch, for people."""
    if not isinstance(at, int | float) or not 0 <= at < 1e11:
        return "-"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(TEMPLATE)


def _rows(report: Report, key: str) -> list[Row]:
    rows = report.get(key)
    return [cast(Row, row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _head(report: Report) -> str:
    about = f", domain {report['domain']}" if report.get("domain") else ""
    return (
        f"{report['gateway']}: {report['score']} of 100 points, grade {report['grade']}{about}\n"
        f"made {moment(report['at'])}, calls since {moment(report['since'])}, version {report['version']}"
    )


def _delta(report: Report) -> str:
    delta = report.get("delta")
    if not isinstance(delta, dict):
        return ""
    lists = (f"{key}: {', '.join(map(str, cast(Sequence[object], delta[key])))}" for key in _CHANGES if delta[key])
    told = "; ".join(lists) or "no check changed"
    return f"Since {moment(delta['at'])}: {delta['score']:+} points; {told}"


_CHANGES: Final = ("new", "worse", "better", "gone")


def _titled(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *lines]) if lines else ""


def _step_line(row: Row) -> str:
    return (
        f"  +{row['points']} points, {row['share']:.0%} of calls, {row['effort']}: {row['title']}\n"
        f"      {row['recommendation']}"
    )


def _finding_lines(row: Row) -> list[str]:
    lines = [f"  {row['id']:8}{SIGNS.get(row['result'], '?'):6}{row['severity']:9} {row['title']}"]
    lines += [f"            {line['text']}" for line in row["evidence"]]
    lines += [f"            why: {row['why']}"] if row["result"] != "unknown" else []
    return lines + ([f"            do:  {row['recommendation']}"] if row["recommendation"] else [])


def _control_lines(rows: Sequence[Row]) -> list[str]:
    """A line for each framework; controls that nobody has looked up are marked."""

    def mark(row: Row) -> str:
        return f"{row['control']}{'' if row['verified'] else ' (unverified)'}"

    return [f"  {name}: {', '.join(map(mark, found))}" for name, found in frameworks(rows).items()]
