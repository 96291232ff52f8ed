"""Commands about traces of a running gateway: begin one, see them, end one, and take its file.

Not here: asking (`asking`), the traces (the gateway has them), other commands (`main`).
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import click

from gateway.ctl import text
from gateway.ctl.asking import ask, fetch, quoted, show
from gateway.ctl.common_options import asking, seconds_of

_TRACES = "/api/v1/traces"
_BYTES = {"k": 1_000, "M": 1_000_000}
_WITHOUT_MEDIA = "media cannot be traced: a file holds SIP alone"


@click.group()
def trace() -> None:
    """Traces: SIP of both legs in clear, without keys, for Wireshark, tshark and sngrep."""


def _bytes(_: click.Context, __: click.Parameter, value: str) -> int:
    found = re.fullmatch(r"(\d{1,6})([kM])", value)
    if found is None:
        raise click.BadParameter(f"{value} is no size such as 500k or 50M")
    return int(found[1]) * _BYTES[found[2]]


@trace.command()
@click.option("--call", default="", help="The gateway's id of a call.")
@click.option("--user", default="", help="The user part of an address in From, To or the Request-URI.")
@click.option("--number", default="", help="A number there.")
@click.option("--domain", default="", help="A host there.")
@click.option("--peer", default="", help="The numeric address of the other end.")
@click.option("--for", "seconds", default="15m", callback=seconds_of, help="Its time, 24h at most (15m).")
@click.option("--size", default="50M", callback=_bytes, help="The size of its file, 100M at most (50M).")
@click.option("--media", type=click.Choice(["none", "headers"]), default="none", help="Only none can be had.")
@asking
def start(
    call: str,
    user: str,
    number: str,
    domain: str,
    peer: str,
    seconds: int,
    size: int,
    media: str,
    config: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Begin a trace of the messages that fit all that is given, and of their calls."""
    if media != "none":
        raise click.ClickException(_WITHOUT_MEDIA)
    change = {"call": call, "user": user, "number": number, "domain": domain, "peer": peer}
    answer = ask(config, url, _TRACES, {**change, "seconds": seconds, "bytes": size})
    show(answer, as_json, _begun)


@trace.command("list")
@asking
def list_traces(config: Path | None, url: str | None, as_json: bool) -> None:
    """The traces that go on and those that are over, the newest first."""
    show(ask(config, url, _TRACES), as_json, text.table)


@trace.command()
@click.argument("trace_id", metavar="ID")
@asking
def stop(trace_id: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """End a trace; its file stays."""
    answer = ask(config, url, f"{_TRACES}/{quoted(trace_id)}/stop", {})
    show(answer, as_json, lambda _: f"trace {trace_id} is over")


@trace.command()
@click.argument("trace_id", metavar="ID")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file to write.")
@asking
def get(trace_id: str, out: Path, config: Path | None, url: str | None, as_json: bool) -> None:
    """Take the file of a trace. It names callers and callees: only its owner may read it."""
    data = fetch(config, url, f"{_TRACES}/{quoted(trace_id)}/pcapng")
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):  # one that was there keeps its mode, whoever may read it
                os.fchmod(descriptor, 0o600)
            file.write(data)
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}") from None
    show({"file": str(out), "bytes": len(data)}, as_json, lambda _: f"{out}: {len(data)} bytes")


def _begun(answer: object) -> str:
    row = text.fields(answer)
    said = f"trace {row.get('id')} of {row.get('of')} goes on for {row.get('seconds')} s"
    return f"{said}: gatewayctl trace get {row.get('id')} --out FILE"
