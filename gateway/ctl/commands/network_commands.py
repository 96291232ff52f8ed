"""The commands about places: this machine's addresses, their moves, the lease, the clock; PBXs with fixed addresses;
the nodes of a cluster.

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


@click.group(invoke_without_command=True)
@asking
@click.pass_context
def network(context: click.Context, config: Path | None, url: str | None, as_json: bool) -> None:
    """The addresses of this machine in use, the latest moves to others, the lease of the DHCP client, and whether a
    time server sets the clock."""
    if context.invoked_subcommand is None:
        show(ask(config, url, "/api/v1/network"), as_json, _shown)


@network.command()
@asking
def renew(config: Path | None, url: str | None, as_json: bool) -> None:
    """Renew the lease of this machine's address now: one request to the DHCP server, and five minutes until the next
    one may be ordered."""
    answer = ask(config, url, "/api/v1/network/renew", {}, patience=10)
    show(answer, as_json, lambda told: _renewal(text.fields(told)))


_RENEWALS: Final = {
    "sent": "a DHCPREQUEST was sent (gatewayctl network shows its outcome)",
    "idle": "nothing was sent: there is no lease, or it is renewed anyway (gatewayctl network shows it)",
}


def _renewal(answer: Mapping[str, object]) -> str:
    told = _RENEWALS.get(str(answer.get("renewed")))
    return told or f"nothing was sent: the latest order is too fresh, for {_seconds(answer.get('wait'))} more"


def _shown(answer: object) -> str:
    return "\n".join(_lines(text.fields(answer)))


def _lines(answer: Mapping[str, object]) -> Iterator[str]:
    yield _mode(answer)
    yield text.columns([_address(row) for row in text.rows(answer.get("addresses"))], _ADDRESS_COLUMNS)
    moves = text.rows(answer.get("moves"))
    if moves:
        yield "moves"
        yield text.columns([_move(row) for row in moves], _MOVE_COLUMNS)
    if answer.get("dhcp") is not None:
        yield from _lease(text.fields(answer.get("dhcp")))
    clock = text.fields(answer.get("clock"))
    told = _CLOCKS.get(clock.get("synchronized") is True) if clock.get("synchronized") is not None else "not known here"
    yield f"clock: {told}" + (f", says the {clock.get('witness')}" if clock.get("witness") else "")


_ADDRESS_COLUMNS: Final = ("address", "interface", "state", "users")
_MOVE_COLUMNS: Final = ("at", "interface", "before", "after", "calls", "failure")


def _mode(answer: Mapping[str, object]) -> str:
    if answer.get("watching"):
        return f"mode {answer.get('mode')}: one move in {answer.get('hold_seconds')} s at most"
    return f"mode {answer.get('mode')}: changes are not heard of"


_LEASE_LISTS: Final = {"dns": "name servers", "ntp": "time servers", "tftp": "TFTP", "sip_servers": "SIP servers"}


def _lease(found: Mapping[str, object]) -> Iterator[str]:
    if found.get("why"):
        yield f"lease: not known, the DHCP client does not answer: {found.get('why')}"
        return
    if found.get("address"):
        left = "without an end" if found.get("seconds_left") is None else f"{_seconds(found.get('seconds_left'))} left"
        way = f"router {found.get('router')}" if found.get("router") else "no router"
        place = f"{found.get('address')}/{found.get('prefix')} on {found.get('interface')}"
        yield f"lease: {place}, {left}, of {found.get('server')}, {way} ({found.get('state')})"
    else:
        yield f"lease: NONE on {found.get('interface')} ({found.get('state')})"
    for key, words in _LEASE_LISTS.items():
        value = found.get(key)
        if isinstance(value, list) and value:
            yield f"  {words}: {', '.join(map(str, value))}"
    if found.get("domain"):
        yield f"  domain: {found.get('domain')}"
    if found.get("vendor"):
        yield f"  option 43: {found.get('vendor')}"
    if found.get("renewed"):
        yield f"  latest renewal: {found.get('renewed')}, {_seconds(found.get('renewed_seconds_ago'))} ago"
    if found.get("refused"):
        yield f"  {found.get('refusals')} replies were not taken, the latest: {found.get('refused')}"
    for one in text.rows(found.get("others")):
        yield f"  ANOTHER DHCP SERVER ANSWERS: {one.get('address')} ({one.get('mac')})"


def _seconds(value: object) -> str:
    return f"{value:.0f} s" if isinstance(value, int | float) else "- s"


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


@click.command()
@asking
def cluster(config: Path | None, url: str | None, as_json: bool) -> None:
    """The pair of nodes that this gateway is one of: which one is active, since when, and how far its copies in the
    store are behind. A node that waits answers, too."""
    show(ask(config, url, "/api/v1/cluster"), as_json, lambda answer: "\n".join(_cluster(text.fields(answer))))


def _cluster(answer: Mapping[str, object]) -> Iterator[str]:
    if answer.get("state") == "none":
        yield "no [cluster] in the configuration: this gateway is no node of a pair"
        return
    yield f"node {answer.get('node')} of cluster {answer.get('name')}: {answer.get('state')}"
    if answer.get("active"):
        since = answer.get("since")
        at = text.in_utc(since) if isinstance(since, int | float) else "-"
        yield f"active: {answer.get('active')}, since {at}, lease {answer.get('epoch')}"
    else:
        yield "active: no node, as far as the store says"
    if answer.get("address"):
        yield f"floating address: {answer.get('address')}, {'here' if answer.get('has_address') else 'not here'}"
    yield f"store: {'answers' if answer.get('store_answers') else 'DOES NOT ANSWER'}"
    if str(answer.get("state")).startswith("active"):
        behind = f"{answer.get('waiting_changes')} changes wait, the oldest for {answer.get('lag_seconds')} s"
        yield f"copies: {behind if answer.get('lag_seconds') else 'the store has all'}"
    rows = text.rows(answer.get("nodes"))
    yield text.columns([{**row, "seen": f"{_seconds(row.get('seen_seconds_ago'))} ago"} for row in rows], _NODE_COLUMNS)


_NODE_COLUMNS: Final = ("node", "seen")
