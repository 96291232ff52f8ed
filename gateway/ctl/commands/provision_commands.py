"""Commands about the files of phones: devices and the files that they have, windows, tokens, lines for DHCP.

Not here: asking (`asking`), the files themselves (the gateway makes them), other commands (`main`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from gateway.ctl import text
from gateway.ctl.asking import ask, quoted, show
from gateway.ctl.common_options import asking, seconds_of

_BASE: Final = "/api/v1/provisioning"
PAGE: Final = 1_000
_DEVICES: Final = ("device", "make", "model", "users", "protection", "state", "generation", "fetched", "when", "proof")
_SEEN: Final = ("device", "make", "model", "firmware", "source", "when", "certified")
_WINDOWS: Final = ("device", "network", "seconds_left")


@click.group(invoke_without_command=True)
@asking
@click.pass_context
def provision(context: click.Context, config: Path | None, url: str | None, as_json: bool) -> None:
    """The files of phones: without a command, every device, open windows, and devices that are not known."""
    if context.invoked_subcommand is None:
        show(_every(config, url), as_json, _all)


@provision.command("list")
@asking
def list_devices(config: Path | None, url: str | None, as_json: bool) -> None:
    """Every device, open windows, and devices that asked for a file and are not known."""
    show(_every(config, url), as_json, _all)


@provision.command("show")
@click.argument("device")
@asking
def show_device(device: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """One DEVICE, by its hardware address: the file that it has, the one that is wanted."""
    show(ask(config, url, f"{_BASE}/{quoted(device)}"), as_json, _one)


@provision.command()
@click.argument("device")
@click.option("--user", "users", multiple=True, required=True, help="Of each line, such as 101@example.com.")
@click.option("--make", help="Such as yealink; left out: as the device told.")
@click.option("--model", help="Such as T46S.")
@asking
def adopt(
    device: str, users: tuple[str, ...], make: str | None, model: str | None,
    config: Path | None, url: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Take in a DEVICE that is not in the file of devices. Passwords come from the credentials of the domain."""
    change = {"device": device, "users": [*users], "make": make, "model": model}
    show(ask(config, url, f"{_BASE}/adopt", change), as_json, lambda answer: f"{_name(answer)} is adopted")


@provision.command()
@click.argument("device")
@asking
def drop(device: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """Let go of a DEVICE that was adopted: its URLs are worth nothing any more."""
    show(ask(config, url, f"{_BASE}/{quoted(device)}/drop", {}), as_json, lambda answer: f"{_name(answer)} is dropped")


@provision.command()
@click.argument("device", required=False)
@click.option("--network", help="Every device in it that never fetched its file: 192.0.2.0/24.")
@click.option("--for", "seconds", default="15m", callback=seconds_of, help="1m to 24h (15m).")
@asking
def enrol(
    device: str | None, network: str | None, seconds: int, config: Path | None, url: str | None, as_json: bool
) -> None:
    """Open a window: DEVICE, or a network, may have its first file over HTTP or TFTP, in clear, with its token."""
    change = {"device": device, "network": network, "seconds": seconds}
    answer = ask(config, url, f"{_BASE}/enrol", change)
    show(answer, as_json, lambda _: f"a window is open for {device or network}, for {seconds} s")


@provision.command("close")
@click.argument("device", required=False)
@click.option("--network", help="The network whose window it is: 192.0.2.0/24.")
@asking
def close_window(device: str | None, network: str | None, config: Path | None, url: str | None, as_json: bool) -> None:
    """Close the window of DEVICE, or of a network, before its time. A first file that went out stays out: rotate."""
    answer = ask(config, url, f"{_BASE}/close", {"device": device, "network": network})
    show(answer, as_json, lambda _: f"the window for {device or network} is closed")


@provision.command()
@click.argument("device")
@asking
def rotate(device: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """Make the URLs and keys of a DEVICE worth nothing. It needs a window then, or its maker's certificate."""
    answer = ask(config, url, f"{_BASE}/{quoted(device)}/rotate", {})
    show(answer, as_json, lambda found: f"{_name(found)} has other URLs and keys: gatewayctl provision enrol {device}")


@provision.command("roll-back")
@click.argument("device")
@asking
def roll_back(device: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """Have the file of a DEVICE ask for the protection that it asked for before."""
    show(ask(config, url, f"{_BASE}/{quoted(device)}/roll-back", {}), as_json, _one)


@provision.command()
@click.argument("device")
@click.option("--redacted", is_flag=True, help="Without passwords, tokens and keys.")
@asking
def render(device: str, redacted: bool, config: Path | None, url: str | None, as_json: bool) -> None:
    """Print the file of a DEVICE as it would get it now. With its passwords it is for admins, and in the audit."""
    path = f"{_BASE}/{quoted(device)}"
    answer = ask(config, url, f"{path}/file") if redacted else ask(config, url, f"{path}/render", {})
    _print_text(answer, as_json=as_json)


@provision.command()
@click.option("--for", "server", type=click.Choice(["dnsmasq", "isc", "kea", "mikrotik"]), required=True)
@asking
def dhcp(server: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """Print lines for a DHCP server that lead phones to this gateway."""
    _print_text(ask(config, url, f"{_BASE}/dhcp?server={server}"), as_json=as_json)


def _every(config: Path | None, url: str | None) -> object:
    """The state with all devices, page by page."""
    devices: list[object] = []
    query = f"limit={PAGE}"
    while True:
        told = text.fields(ask(config, url, f"{_BASE}?{query}"))
        devices += text.rows(told.get("devices"))
        following = told.get("next")
        if not isinstance(following, str) or query.endswith(f"next={quoted(following)}"):
            return {**told, "devices": devices, "next": None}
        query = f"limit={PAGE}&next={quoted(following)}"


def _all(answer: object) -> str:
    told = text.fields(answer)
    devices = [_row(row) for row in text.rows(told.get("devices"))]
    parts = [text.columns(devices, _DEVICES) if devices else "no device has a file here"]
    windows = text.rows(told.get("windows"))
    parts += [f"windows:\n{text.columns(windows, _WINDOWS)}"] if windows else []
    seen = [{**row, "when": _when(row.get("at")), "certified": row.get("is_certified")} for row in _seen(told)]
    parts += [f"not known:\n{text.columns(seen, _SEEN)}"] if seen else []
    return "\n\n".join(parts)


def _seen(told: Mapping[str, object]) -> list[Mapping[str, object]]:
    return text.rows(told.get("seen"))


def _one(answer: object) -> str:
    return text.table_of_one(_row(text.fields(answer)))


def _row(row: Mapping[str, object]) -> dict[str, object]:
    users = row.get("users")
    joined = " ".join(map(str, users)) if isinstance(users, list) else ""
    return {**row, "users": joined, "fetched_at": _when(row.get("fetched_at")), "when": _when(row.get("fetched_at"))}


def _when(at: object) -> str:
    return text.in_utc(at) if isinstance(at, int | float) and 0 < at < 1e11 else "-"


def _name(answer: object) -> str:
    return str(text.fields(answer).get("device"))


def _print_text(answer: object, *, as_json: bool) -> None:
    """Print the lines of a text, each clean by itself."""
    lines = str(text.fields(answer).get("text")).rstrip("\n")
    click.echo(text.as_json(answer, indent=2) if as_json else text.clean_lines(lines))
