"""The commands about places: this machine's addresses, their moves, and the clock; PBXs with fixed addresses.

Not here: asking (`asking`), the watch (the gateway's own), other commands (`main`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from gateway.ctl import text
from gateway.ctl.asking import ask, show
from gateway.ctl.common_options import asking

_CLOCKS: Final = {True: "set by a time server", False: "set by no time server (timedatectl)"}


@click.command()
@asking
def network(config: Path | None, url: str | None, as_json: bool) -> None:
    """The addresses of this machine in use, the latest moves to others, and whether a time server sets the clock."""
    show(ask(config, url, "/api/v1/network"), as_json, _shown)


def _shown(answer: object) -> str:
    return "\n".join(_lines(text.fields(answer)))


def _lines(answer: Mapping[str, object]) -> Iterator[str]:
    yield _mode(answer)
    yield text.columns([_address(row) for row in text.rows(answer.get("addresses"))], _ADDRESS_COLUMNS)
    moves = text.rows(answer.get("moves"))
    if moves:
        yield "moves"
        yield text.columns([_move(row) for row in moves], _MOVE_COLUMNS)
    clock = text.fields(answer.get("clock"))
    told = _CLOCKS.get(clock.get("synchronized") is True) if clock.get("synchronized") is not None else "not known here"
    yield f"clock: {told}" + (f", says the {clock.get('witness')}" if clock.get("witness") else "")


_ADDRESS_COLUMNS: Final = ("address", "interface", "state", "users")
_MOVE_COLUMNS: Final = ("at", "interface", "before", "after", "calls", "failure")


def _mode(answer: Mapping[str, object]) -> str:
    if answer.get("watching"):
        return f"mode {answer.get('mode')}: one move in {answer.get('hold_seconds')} s at most"
    return f"mode {answer.get('mode')}: changes are not heard of"


def _address(row: Mapping[str, object]) -> dict[str, object]:
    users = row.get("users")
    named = ", ".join(map(str, users)) if isinstance(users, list) else ""
    return {**row, "state": "there" if row.get("is_there") else "GONE", "users": named}


def _move(row: Mapping[str, object]) -> dict[str, object]:
    return {**row, "failure": row.get("failure") or "-"}


@click.command()
@asking
def pbxs(config: Path | None, url: str | None, as_json: bool) -> None:
    """PBXs that do not register: their addresses, and the registrations that the gateway keeps up for them."""
    show(ask(config, url, "/api/v1/pbxs"), as_json, _shown_pbxs)


_PBX_COLUMNS: Final = ("pbx", "domain", "proof", "numbers", "registration")
_PLACE_COLUMNS: Final = ("pbx", "address", "leads to", "state")


def _shown_pbxs(answer: object) -> str:
    rows = text.rows(text.fields(answer).get("pbxs"))
    if not rows:
        return "no [[phone]] in the configuration"
    places = [_place(row, place) for row in rows for place in text.rows(row.get("places"))]
    return f"{text.columns([*map(_pbx, rows)], _PBX_COLUMNS)}\n{text.columns(places, _PLACE_COLUMNS)}"


def _pbx(row: Mapping[str, object]) -> dict[str, object]:
    numbers = row.get("numbers")
    shown = ", ".join(map(str, numbers[:3])) if isinstance(numbers, list) else ""
    more = f" and {len(numbers) - 3} more" if isinstance(numbers, list) and len(numbers) > 3 else ""
    return {**row, "pbx": row.get("name"), "numbers": shown + more, "registration": _registration(row)}


def _registration(row: Mapping[str, object]) -> str:
    found = text.fields(row.get("registration")) if row.get("registration") else {}
    if not found:
        return "-"
    state = f"for {found.get('seconds_left')} s" if found.get("is_registered") else "NOT REGISTERED"
    return f"{state}: {found.get('why')}" if found.get("why") else state


def _place(row: Mapping[str, object], place: Mapping[str, object]) -> dict[str, object]:
    state = "up" if place.get("is_up") else f"DOWN: {place.get('why')}"
    return {"pbx": row.get("name"), "address": place.get("uri"), "leads to": place.get("target") or "-", "state": state}
