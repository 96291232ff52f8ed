"""The command about fallback budgets: how each stands, and how fast it is spent.

Not here: asking (`asking`), the judgement (the gateway's own), other commands (`main`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click

from gateway.ctl import text
from gateway.ctl.asking import ask, quoted, show
from gateway.ctl.common_options import asking

_COLUMNS: Final = ("domain", "level", "spent", "allowed", "left", "of_calls", "burn_1h", "burn_6h", "burn_3d")
_LONGEST: Final = timedelta(days=30)


@click.command()
@click.argument("domain", required=False)
@asking
def budget(domain: str | None, config: Path | None, url: str | None, as_json: bool) -> None:
    """The fallback budgets, the worst first, or that of DOMAIN: calls that went on with less, and those that may."""
    if domain is None:
        show(ask(config, url, "/api/v1/budgets"), as_json, _table)
    else:
        show(ask(config, url, f"/api/v1/budgets/{quoted(domain)}"), as_json, _one)


def _table(answer: object) -> str:
    rows = text.rows(answer)
    if not rows:
        return "No domain has a fallback budget: [[domain]] fallback_budget gives it one."
    return text.columns([_row(row) for row in rows], _COLUMNS)


def _row(row: Mapping[str, object]) -> dict[str, object]:
    burns = _burns(row)
    calls = _number(row.get("kept")) + _number(row.get("spent"))
    return {**row, "of_calls": calls, **{f"burn_{window}": burn for window, burn in burns.items()}}


def _one(answer: object) -> str:
    return "\n".join(_lines(answer)) if isinstance(answer, dict) else str(answer)


def _lines(row: Mapping[str, object]) -> Iterator[str]:
    spent, allowed, left = (_number(row.get(key)) for key in ("spent", "allowed", "left"))
    calls = spent + _number(row.get("kept"))
    yield f"{row.get('domain')}: {str(row.get('level')).replace('_', ' ')}"
    yield f"  {spent} of {calls} calls in 30 days went on with less than TLS and SRTP; {allowed} may, {left} are left"
    if _number(row.get("excused")):
        yield f"  {row.get('excused')} more did as meant: the policy is off, or an emergency number"
    told = ", ".join(f"{window} {'-' if burn is None else burn}" for window, burn in _burns(row).items())
    yield f"  burn (1 makes the budget last 30 days): {told}"
    seconds = row.get("seconds_left")
    if isinstance(seconds, int) and left and timedelta(seconds=seconds) < _LONGEST:
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        yield f"  at the pace of the last 3 days it is spent on {at:%A, %Y-%m-%d at %H:%M} UTC"
    if spent:
        yield f"  gatewayctl calls --domain {row.get('domain')} --since 30d shows these calls and their reasons"


def _burns(row: Mapping[str, object]) -> dict[str, object]:
    return {str(one.get("window")): one.get("burn") for one in text.rows(row.get("burns"))}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
