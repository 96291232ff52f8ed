"""Commands about the receivers of alerts: how each stands, and a test of one.

Not here: asking (`asking`), the delivery itself (the gateway does it), other commands (`main`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from gateway.ctl import text
from gateway.ctl.asking import ask, quoted, show
from gateway.ctl.common_options import asking

_ALERTS: Final = "/api/v1/alerts"
_COLUMNS: Final = ("name", "to", "place", "least", "sent", "failed", "dropped", "waiting", "answer")
TEST_SECONDS: Final = 40
"""A mail server may greet late: the gateway gives it 30 seconds."""


@click.group(invoke_without_command=True)
@asking
@click.pass_context
def alerts(context: click.Context, config: Path | None, url: str | None, as_json: bool) -> None:
    """The receivers of alerts: counts, and the latest answer or failure of each."""
    if context.invoked_subcommand is None:
        show(ask(config, url, _ALERTS), as_json, _table)


@alerts.command()
@click.argument("name")
@asking
def test(name: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """Send a test alert to the receiver NAME, and say its answer."""
    answer = ask(config, url, f"{_ALERTS}/{quoted(name)}/test", {}, patience=TEST_SECONDS)
    show(answer, as_json, _told)


def _table(answer: object) -> str:
    return text.columns(text.rows(answer), _COLUMNS)


def _told(answer: object) -> str:
    row = text.fields(answer)
    return f"{row.get('name')} was told, and answered: {row.get('answer')}"
