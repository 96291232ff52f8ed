"""gatewayctl assess: the security posture of a running gateway as text, JSON or HTML; the proof of a signed report.

    assess                 -> GET  /api/v1/posture          -> text, JSON or HTML, to the terminal or a file
    assess --sign          -> POST /api/v1/posture          -> FILE and FILE.sig
    assess verify FILE     -> FILE, FILE.sig, a known key   -> exit 1 unless it is the report that was signed

Here: the commands. Not here: the judgement (security.posture), which is the gateway's own. A signed file holds the
exact bytes that were signed. Only its owner may read a file that is made here: it says where this place is weak.
"""

from __future__ import annotations

import json
import os
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import click

from gateway.base.clock import seconds_in
from gateway.base.json_codec import Json
from gateway.ctl import text
from gateway.ctl.asking import ask
from gateway.ctl.common_options import asking
from gateway.security.posture.documents import as_html, as_text
from gateway.security.posture.report import NoReport, Report, checked_report, delta_of
from gateway.security.posture.signature import NotVerified, canonical, verified

POSTURE: Final = "/api/v1/posture"
LAST: Final = "last"
MOST_BYTES: Final = 16 * 1024 * 1024
"""Of a file that is read."""

_FILE: Final = click.Path(path_type=Path)


@click.group(invoke_without_command=True)
@click.option("--since", metavar="30d", help="The time that calls are counted for: 24h, 7d, 31d at most.  [30d]")
@click.option("--domain", help="One domain alone.")
@click.option("--format", "form", type=click.Choice(["text", "json", "html"]), default="text", show_default=True)
@click.option("--out", type=_FILE, help="Write the report to a file, instead of to the terminal.")
@click.option("--compare", metavar="FILE|last", help="Tell the difference to a report, or to the last that is kept.")
@click.option("--sign", is_flag=True, help="Sign it: --format json and --out FILE; the signature goes to FILE.sig.")
@click.option("--advisories", type=_FILE, help="A file of advisories, instead of the gateway's own.")
@asking
@click.pass_context
def assess(
    context: click.Context,
    since: str | None,
    domain: str | None,
    form: str,
    out: Path | None,
    compare: str | None,
    sign: bool,
    advisories: Path | None,
    config: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """How safe this place is: findings by evidence, a score, and the worth of each next step."""
    if context.invoked_subcommand is not None:
        return
    form = "json" if as_json else form
    _check_signing(sign, form, out, compare)
    asked = _asked(since, domain)
    report, signature = _report(config, url, asked, advisories, sign)
    report = _compared(report, compare)
    data = _laid_out(report, form)
    if out is None:
        click.echo(data, nl=False)
        return
    _write(out, data)
    if signature is not None:
        _write(out.with_name(out.name + ".sig"), json.dumps(signature, indent=2) + "\n")
    click.echo(text.clean_lines(f"{out}: {report['score']} of 100 points, grade {report['grade']}"))


@assess.command()
@asking
def key(config: Path | None, url: str | None, as_json: bool) -> None:
    """The public key of the gateway's signatures: keep it where its reports are read."""
    answer = ask(config, url, f"{POSTURE}/key")
    row = text.fields(answer)
    click.echo(text.as_json(answer) if as_json else text.clean_lines(str(row.get("public_key"))))


@assess.command()
@click.argument("file", type=_FILE)
@click.option("--key", "key_file", type=_FILE, help="A file with the gateway's public key (gatewayctl assess key).")
def verify(file: Path, key_file: Path | None) -> None:
    """Whether FILE is the report that FILE.sig signs. Ends with 1 where it is not."""
    known = None if key_file is None else _read(key_file).decode("ascii", "replace")
    try:
        one = verified(_read(file), _read(file.with_name(file.name + ".sig")), known)
        report = checked_report(one.report)
    except (NotVerified, NoReport) as error:
        raise click.ClickException(text.clean_lines(f"{file}: {error}")) from None
    told = f"{file}: signed by the key {one.fingerprint}, {report['score']} of 100 points, grade {report.get('grade')}"
    click.echo(text.clean_lines(told))
    if not one.is_key_known:
        click.echo("The key is the one that the signature names: compare it, or give --key.", err=True)


def _check_signing(sign: bool, form: str, out: Path | None, compare: str | None) -> None:
    """Raises UsageError. The gateway signs its own report, and not one that was laid out or compared here."""
    if sign and (form != "json" or out is None):
        raise click.UsageError("--sign needs --format json and --out FILE")
    if sign and compare not in (None, LAST):
        raise click.UsageError("--sign goes with --compare last, and not with --compare FILE")


def _asked(since: str | None, domain: str | None) -> dict[str, str]:
    """The report that is wanted, as a query names it. Raises UsageError."""
    asked = {} if domain is None else {"domain": domain}
    if since is not None:
        asked["since"] = since.strip()
        if not seconds_in(asked["since"], needs_unit=True):
            raise click.UsageError("--since: a length of time is wanted, such as 24h, 7d or 30d")
    return asked


def _change(asked: Mapping[str, str]) -> dict[str, object]:
    """The same as a change names it."""
    change: dict[str, object] = {key: value for key, value in asked.items() if key != "since"}
    if seconds := seconds_in(asked.get("since", "")):
        change["seconds"] = seconds
    return change


def _report(
    config: Path | None, url: str | None, asked: Mapping[str, str], advisories: Path | None, sign: bool
) -> tuple[Report, object]:
    """The gateway's report, and its signature where one is wanted. Raises ClickException."""
    if not sign and advisories is None:
        suffix = f"?{urllib.parse.urlencode(asked, errors='surrogateescape')}" if asked else ""
        return _checked(ask(config, url, POSTURE + suffix)), None
    lines = [] if advisories is None else _read(advisories).decode("utf-8", "replace").splitlines()
    answer = ask(config, url, POSTURE, {**_change(asked), "advisories": lines, "sign": sign})
    row = text.fields(answer)
    return _checked(row.get("report")), row.get("signature")


def _compared(report: Report, compare: str | None) -> Report:
    """The report with the difference that is wanted. That to the last one is the gateway's own."""
    if compare is None or compare == LAST:
        if compare == LAST and report.get("delta") is None:
            raise click.ClickException("no report is kept yet: the gateway keeps one each [posture] every")
        return report
    try:
        earlier: object = json.loads(_read(Path(compare)))
    except (ValueError, RecursionError):
        raise click.ClickException(text.clean_lines(f"{compare}: this is no JSON")) from None
    return {**report, "delta": delta_of(_checked(earlier, f"{compare}: "), report)}


def _checked(value: object, place: str = "") -> Report:
    try:
        return checked_report(value)
    except NoReport as error:
        raise click.ClickException(text.clean_lines(f"{place}{error}")) from None


def _laid_out(report: Report, form: str) -> str:
    match form:
        case "json":
            return canonical(cast(Json, report)).decode("ascii")
        case "html":
            return as_html(report)
        case _:
            return as_text(report) + "\n"


def _read(file: Path) -> bytes:
    """The content of a file. Raises ClickException."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise click.ClickException(text.clean_lines(f"{file}: cannot be read: {error.strerror}")) from None
    if len(data) > MOST_BYTES:
        raise click.ClickException(text.clean_lines(f"{file}: is longer than {MOST_BYTES} bytes"))
    return data


def _write(file: Path, data: str) -> None:
    """Write a file. Raises ClickException."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(data)
    except OSError as error:
        raise click.ClickException(text.clean_lines(f"{file}: cannot be written: {error.strerror}")) from None
