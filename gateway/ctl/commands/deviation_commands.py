"""The command about deviations: calls that were unlike those of the same user or domain before.

Not here: asking (`asking`), the judgement (the gateway's), other commands (`main`).
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from pathlib import Path

import click

from gateway.ctl import text
from gateway.ctl.asking import ask, show
from gateway.ctl.common_options import asking


@click.command()
@click.option("--since", metavar="TIME", default="24h", show_default=True, help="90s, 24h, 7d ago, or a date and time.")
@click.option("--domain", help="Those of one domain and its users.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@asking
def deviations(since: str, domain: str | None, limit: int, config: Path | None, url: str | None, as_json: bool) -> None:
    """Calls unlike those of the same user or domain in the last 28 days, each with the figures that were compared."""
    wanted = {"since": since, "limit": limit, **({} if domain is None else {"domain": domain})}
    query = urllib.parse.urlencode(wanted, errors="surrogateescape")
    show(ask(config, url, f"/api/v1/deviations?{query}"), as_json, _table)


def _table(answer: object) -> str:
    return text.table([_row(row) for row in text.rows(answer)])


def _row(row: Mapping[str, object]) -> dict[str, object]:
    figures = text.fields(row.get("fields")).items()
    return {
        "at": row.get("at"),
        "deviation": str(row.get("name")).removeprefix("deviation."),
        "user": row.get("who") or "(all)",
        "domain": row.get("domain"),
        "figures": ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in figures),
        "call": row.get("call"),
    }
