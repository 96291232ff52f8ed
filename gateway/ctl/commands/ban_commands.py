"""Commands about bans and block lists of a running gateway: see them, order, lift, approve, export.

Not here: asking (`asking`), the bans (the gateway has them), other commands (`main`). An export prints sources that are
in force, one a line, for other programs; `nft` prints commands that fill the sets of deploy/gateway.nft elsewhere.
"""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Final

import click

from gateway.ctl import text
from gateway.ctl.asking import ask, quoted, show
from gateway.ctl.common_options import asking, seconds_of
from gateway.observe.clean_text import clean

_BANS: Final = "/api/v1/bans"
_THROTTLED: Final = "/api/v1/throttled"
_LISTS: Final = "/api/v1/blocklists"
PAGE: Final = 1_000
COLUMNS: Final = ("id", "source", "state", "reason", "since", "left", "times", "by", "words")
SLOWED: Final = ("source", "state", "reason", "since", "left", "seen", "evidence")
_SETS: Final = {4: "inet gateway banned4", 6: "inet gateway banned6"}

Bans = list[Mapping[str, object]]


@click.group(invoke_without_command=True)
@asking
@click.pass_context
def bans(context: click.Context, config: Path | None, url: str | None, as_json: bool) -> None:
    """Sources that are turned away, that wait for approval, that would be, or that are slowed: without a command, all
    of them."""
    if context.invoked_subcommand is None:
        head, found = _all(config, url, _BANS, "bans", {})
        _, slowed = _all(config, url, _THROTTLED, "throttled", {})
        show({**head, "bans": found, "throttled": slowed}, as_json, _listed)


@bans.command("show")
@click.argument("address")
@asking
def show_ban(address: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """All that is known of a source: its ban, the points that slow it, the evidence, the lists that hold it."""
    show(ask(config, url, f"{_BANS}/{quoted(address)}"), as_json, _known)


@bans.command()
@click.argument("address")
@click.option("--for", "seconds", default="1h", callback=seconds_of, help="Its length: 90s, 30m, 24h (1h).")
@click.option("--because", default="", help="A reason, for the audit.")
@asking
def add(address: str, seconds: int, because: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """Turn a source away for a time, whatever the mode of the defence."""
    answer = ask(config, url, _BANS, {"source": address, "seconds": seconds, "because": because})
    show(answer, as_json, lambda found: f"{_of(found, 'source')} is banned for {_length(float(seconds))}")


@bans.command()
@click.argument("address")
@asking
def lift(address: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """End the ban of a source. The defence spares it for 24 hours."""
    answer = ask(config, url, f"{_BANS}/{quoted(address)}/lift", {})
    show(answer, as_json, lambda found: f"{_of(found, 'source')} is let in, and spared for 24 h")


@bans.command()
@click.argument("number", metavar="ID", type=click.IntRange(0))
@asking
def approve(number: int, config: Path | None, url: str | None, as_json: bool) -> None:
    """Put a ban in force that waits for approval."""
    answer = ask(config, url, f"{_BANS}/{number}/approve", {})
    show(answer, as_json, lambda found: f"{_of(found, 'source')} is banned")


@bans.command()
@click.option("--as", "form", type=click.Choice(["plain", "cidr", "nft", "json"]), default="plain", show_default=True)
@asking
def export(form: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """The sources that are in force: addresses, networks, commands for nft, or JSON with the evidence left out."""
    _, found = _all(config, url, _BANS, "bans", {"state": "active"})
    click.echo(_FORMS["json" if as_json else form](found), nl=False)


@bans.command()
@click.option("--read", "name", metavar="NAME", help="Read this list at once.")
@asking
def lists(name: str | None, config: Path | None, url: str | None, as_json: bool) -> None:
    """The block lists: their entries, when each was last read, and why one could not be."""
    if name is not None:
        ask(config, url, f"{_LISTS}/{quoted(name)}/read", {})
    show(ask(config, url, _LISTS), as_json, text.table)


def _all(
    config: Path | None, url: str | None, path: str, key: str, wanted: dict[str, str]
) -> tuple[Mapping[str, object], Bans]:
    """The rows of a list that are wanted, page by page, and all that is told beside them."""
    found: Bans = []
    head: Mapping[str, object] = {}
    place: dict[str, str] = {}
    while True:
        query = urllib.parse.urlencode({**wanted, "limit": str(PAGE), **place})
        answer = ask(config, url, f"{path}?{query}")
        page = text.fields(answer)
        following = page.get("next")
        found += text.rows(page.get(key))
        head = head or {name: value for name, value in page.items() if name not in (key, "next")}
        if not isinstance(following, str) or place.get("next") == following:
            return head, found
        place = {"next": following}


def _listed(answer: object) -> str:
    """The list for people."""
    head, now = text.fields(answer), time.time()
    rows = [{**row, "left": _length(_number(row, "until") - now)} for row in text.rows(head.get("bans"))]
    lines = [f"mode {head.get('mode')}: {head.get('in_force')} in force, {head.get('waiting')} wait for approval"]
    kernel = head.get("kernel")
    if isinstance(kernel, Mapping):
        why = kernel.get("why")
        told = f"takes nothing: {why}" if why else f"{kernel.get('elements')} elements"
        lines.append(f"nftables: {told}")
    lines += ["", text.columns(rows, COLUMNS)]
    if slowed := text.rows(head.get("throttled")):
        would = "would be slowed" if head.get("mode") == "report" else "slowed"
        lines += ["", f"{len(slowed)} {would}; where the address is not proved, the packets may be another's"]
        lines.append(text.columns([_slowed(row, now) for row in slowed], SLOWED))
    return "\n".join(lines)


def _slowed(row: Mapping[str, object], now: float) -> Mapping[str, object]:
    address = "address proved" if row.get("address") == "proved" else "address not proved"
    lines = row.get("evidence")
    return {
        **row,
        "state": f"{row.get('state')}: {address}",
        "left": _length(_number(row, "until") - now),
        "evidence": lines[-1] if isinstance(lines, list) and lines else "",
    }


def _known(answer: object) -> str:
    """All that is known of a source, for people."""
    if not isinstance(answer, Mapping):
        return str(answer)
    ban, lists = answer.get("ban"), answer.get("lists")
    lines = [text.table_of_one(ban) if isinstance(ban, Mapping) else f"{answer.get('source')} is not banned"]
    if isinstance(slowed := answer.get("throttled"), Mapping):
        lines += ["", "slowed:", text.table_of_one(slowed)]
    if isinstance(lists, list) and lists:
        lines.append(f"in the lists: {', '.join(map(str, lists))}")
    if answer.get("is_spared"):
        lines.append("spared: an operator lifted its ban within a day")
    return "\n".join(lines)


def _sources(found: Bans) -> Sequence[str]:
    return [str(row["source"]) for row in found if isinstance(row.get("source"), str)]


def _plain(found: Bans) -> str:
    return "".join(f"{clean(source)}\n" for source in _sources(found))


def _cidr(found: Bans) -> str:
    return "".join(f"{ip_network(source)}\n" for source in _sources(found))


def _nft(found: Bans) -> str:
    """Commands for `nft -f -`, with the time that each has left."""
    now, lines = time.time(), []
    for row in found:
        network = ip_network(str(row.get("source")))
        left = max(1, round(_number(row, "until") - now))
        element = network.network_address if network.prefixlen == network.max_prefixlen else network
        lines.append(f"add element {_SETS[network.version]} {{ {element} timeout {left}s }}\n")
    return "".join(lines)


def _as_json(found: Bans) -> str:
    return text.as_json(found, indent=2) + "\n"


_FORMS: Final[Mapping[str, Callable[[Bans], str]]] = {"plain": _plain, "cidr": _cidr, "nft": _nft, "json": _as_json}


def _of(answer: object, key: str) -> object:
    return answer.get(key) if isinstance(answer, Mapping) else answer


def _number(row: Mapping[str, object], key: str) -> float:
    value = row.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _length(seconds: float) -> str:
    """A length of time in its largest unit."""
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (size < 86_400 and seconds >= size):
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
