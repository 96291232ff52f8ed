"""Commands about limits of calls: how users stand with them, and an end to a hold.

Not here: asking (`asking`), the counts (the gateway has them), other commands (`main`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from gateway.ctl import text
from gateway.ctl.asking import ask, quoted, show
from gateway.ctl.common_options import asking

_LIMITS: Final = "/api/v1/limits"
_LIFT: Final = "lift"
_SHORT: Final = {
    "calls": "at once",
    "per_minute": "a minute",
    "per_hour": "an hour",
    "minutes_per_day": "minutes",
    "destinations_per_hour": "numbers",
    "short_calls_per_hour": "short",
}
"""Each measure in a word."""


@click.command()
@click.argument("words", metavar="[USER | lift USER]", nargs=-1)
@asking
def limits(words: tuple[str, ...], config: Path | None, url: str | None, as_json: bool) -> None:
    """Limits of calls: all users that are held or counted, or USER alone; lift USER lets it call again.

    USER is 101, 101@example.com, or the address of a caller that is not registered.
    """
    if len(words) == 2 and words[0] == _LIFT:
        show(ask(config, url, f"{_LIMITS}/lift", {"user": words[1]}), as_json, _lifted)
    elif len(words) > 1 or words == (_LIFT,):
        raise click.UsageError("say nothing, USER, or lift USER")
    else:
        path = f"{_LIMITS}?user={quoted(words[0])}" if words else _LIMITS
        show(ask(config, url, path), as_json, _told)


def _lifted(answer: object) -> str:
    return f"{text.fields(answer).get('user')} counts anew"


def _told(answer: object) -> str:
    told = text.fields(answer)
    limits_in_force = [_terms(row) for row in text.rows(told.get("limits"))]
    users = [_user(row) for row in text.rows(told.get("users"))]
    in_force = text.columns(limits_in_force, ("limit", "users", "to", "hours", "then"))
    counted = text.columns(users, ("user", "limit", "state", "counts")) if users else "nobody is counted"
    return f"{in_force}\n\n{counted}"


def _terms(row: Mapping[str, object]) -> dict[str, object]:
    shown = {key: _joined(row.get(key)) for key in ("users", "to", "hours")}
    return {"limit": row.get("name"), **shown, "then": row.get("then")}


def _joined(values: object) -> str:
    return " ".join(map(str, values)) if isinstance(values, list) and values else "-"


def _user(row: Mapping[str, object]) -> dict[str, object]:
    told = text.rows(row.get("counts"))
    words = ", ".join(f"{one['count']}/{one['most']} {_SHORT.get(str(one['measure']), one['measure'])}" for one in told)
    return {
        "user": row.get("user"),
        "limit": row.get("limit"),
        "state": "held" if row.get("held") else "counted",
        "counts": words,
    }
