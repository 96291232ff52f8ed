"""gatewayctl assess: the security posture of a running gateway as text, JSON or HTML; the proof of a signed report.

    assess                 -> GET  /api/v1/posture          -> text, JSON or HTML, to the terminal or a file
    assess --sign          -> POST /api/v1/posture          -> FILE and FILE.sig
    assess verify FILE     -> FILE, FILE.sig, a known key   -> exit 1 unless it is the report that was signed

Here: the commands. Not here: the judgement (security.posture), which is the gateway's own. A signed file holds the
exact bytes that were signed. Only its owner may read a file that is made here: it says where this place is weak.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from gateway.base.clock import seconds_in
from gateway.ctl import text
from gateway.ctl.asking import ask
from gateway.ctl.common_options import LAST, POSTURE, asking

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
    from gateway.ctl import assessed_reports  # half of the gateway comes with it

    report, signature = assessed_reports.fetched(config, url, asked, advisories, sign)
    report = assessed_reports.compared(report, compare)
    data = assessed_reports.laid_out(report, form)
    if out is None:
        click.echo(data, nl=False)
        return
    assessed_reports.write(out, data)
    if signature is not None:
        assessed_reports.write(out.with_name(out.name + ".sig"), json.dumps(signature, indent=2) + "\n")
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
    from gateway.ctl import assessed_reports  # half of the gateway comes with it

    told, is_known = assessed_reports.proof(file, key_file)
    click.echo(text.clean_lines(told))
    if not is_known:
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
