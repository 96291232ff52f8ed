"""gatewayctl: asks a running gateway, and checks a configuration before a start.

Here: the commands. Not here: their options that lead to a gateway (`common_options`), asking it (`asking`), users and
tokens (`account_commands`), traces (`trace_commands`), the text of answers (`text`), certificate files
(`certificate_files`). Every command prints for people, or with --json the whole answer; a failure is one line and exit
code 1.

    gatewayctl calls  -> GET  /api/v1/calls -> JSON -> table
    gatewayctl reload -> POST /api/reload   -> JSON -> lines
"""

import json
import urllib.parse
from pathlib import Path

import click

from gateway.base.build import build
from gateway.ctl import state_text, text
from gateway.ctl.asking import ask, quoted, show
from gateway.ctl.certificate_files import certs
from gateway.ctl.commands.account_commands import audit, tokens, users
from gateway.ctl.commands.alert_commands import alerts
from gateway.ctl.commands.ban_commands import bans
from gateway.ctl.commands.budget_commands import budget
from gateway.ctl.commands.deviation_commands import deviations
from gateway.ctl.commands.enablement_commands import enable, phone, resync, rollout
from gateway.ctl.commands.limit_commands import limits
from gateway.ctl.commands.network_commands import cluster, network, pbxs
from gateway.ctl.commands.number_commands import number
from gateway.ctl.commands.posture_commands import assess
from gateway.ctl.commands.probe_commands import probe
from gateway.ctl.commands.provision_commands import provision
from gateway.ctl.commands.trace_commands import trace
from gateway.ctl.common_options import as_json_option, asking, seconds_of

PAGE = 1_000
"""Calls that are asked for at once."""


@click.group()
@click.version_option(build().version, message=str(build()))
def main() -> None:
    """Ask a running gateway about its calls, phones, domains and peers, change it, or check a configuration.

    The gateway asked is the one at --url or $GATEWAY_URL, else the one that --config FILE or $GATEWAY_CONFIG describes.
    """


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Warnings alone end with 2.")
@click.option(
    "--elsewhere", is_flag=True, help="It is for another machine: look at no address, port or directory here."
)
@as_json_option
def check(file: Path, strict: bool, elsewhere: bool, as_json: bool) -> None:
    """Check a configuration FILE, the files that it names and this machine; every mistake is one line.

    Ends with 1 for mistakes, with which no gateway starts. Warnings are lines as well, and end with 0 unless --strict.
    """
    from gateway.ctl.check import findings  # all files that a configuration names are understood there

    found = findings(file, elsewhere=elsewhere)
    if as_json:
        click.echo(json.dumps(found.as_json()))
    else:
        for line in (*found.mistakes, *(f"warning: {line}" for line in found.doubts)):
            click.echo(text.clean_lines(line), err=True)
        if not found.mistakes:
            click.echo(found.summary())
    raise SystemExit(found.exit_code(strict=strict))


@main.command()
@asking
def health(config: Path | None, url: str | None, as_json: bool) -> None:
    """Whether the gateway answers: for health checks of containers."""
    show(ask(config, url, "/healthz"), as_json, lambda _: "ok")


@main.command()
@asking
def status(config: Path | None, url: str | None, as_json: bool) -> None:
    """Whether calls are encrypted, all that needs a look with its remedy, and how each part stands."""
    show(ask(config, url, "/api/v1/status"), as_json, state_text.status)


@main.command()
@click.option("--verdict", help="Such as CLEAR.")
@click.option("--reason", help="Such as CLEAR_PEER_NO_SRTP.")
@click.option("--since", metavar="TIME", help="Those that began since: 90s, 24h, 7d ago, or 2026-01-31T23:59:59Z.")
@click.option("--until", metavar="TIME", help="Those that began before.")
@click.option("--number", help="The caller's or callee's, as it stands in the list.")
@click.option("--user", help="The phone's user.")
@click.option("--domain")
@click.option("--provider")
@click.option("--direction", type=click.Choice(["outbound", "inbound", "internal"]))
@click.option("--stage", type=click.Choice(["up", "ended"]), help="Those that are up, or that have ended.")
@click.option("--answered/--unanswered", default=None, help="Those that were answered, or were not.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@asking
def calls(
    config: Path | None, url: str | None, as_json: bool, limit: int, answered: bool | None, **asked: str | None
) -> None:
    """The calls that are up and all that are kept, the latest first."""
    wanted = {**asked, "answered": None if answered is None else str(answered).lower()}
    show(_calls(config, url, {key: value for key, value in wanted.items() if value}, limit), as_json, text.calls)


@main.command()
@click.argument("call_id", metavar="ID")
@asking
def hangup(call_id: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """End a call that is up, on both sides."""
    answer = ask(config, url, f"/api/v1/calls/{quoted(call_id)}/hangup", {})
    show(answer, as_json, lambda _: f"call {call_id} is ended")


@main.command()
@click.option(
    "--for", "seconds", metavar="30m", callback=seconds_of, help="Until calls that are left are ended: 90s, 30m, 2h."
)
@click.option("--cancel", is_flag=True, help="Take calls again.")
@click.option("--show", "is_look", is_flag=True, help="How the drain stands; nothing is changed.")
@asking
def drain(
    seconds: int | None, cancel: bool, is_look: bool, config: Path | None, url: str | None, as_json: bool
) -> None:
    """Take no new calls but emergency calls, and end those that are left after a time ([gateway] drain_seconds)."""
    if sum((seconds is not None, cancel, is_look)) > 1:
        raise click.UsageError("one of --for, --cancel and --show at most")
    change = None if is_look else {} if cancel or seconds is None else {"seconds": seconds}
    answer = ask(config, url, f"/api/v1/drain{'/cancel' if cancel else ''}", change)
    show(answer, as_json, text.drained)


@main.command()
@click.argument("call_id", metavar="ID")
@asking
def call(call_id: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """One call: its outcome, its messages and the chain of reasons."""
    show(ask(config, url, "/api/calls/" + quoted(call_id)), as_json, text.call)


@main.command()
@asking
def phones(config: Path | None, url: str | None, as_json: bool) -> None:
    """The phones that are registered."""
    show(ask(config, url, "/api/phones"), as_json, text.table)


@main.command()
@asking
def domains(config: Path | None, url: str | None, as_json: bool) -> None:
    """The domains and their policy."""
    show(ask(config, url, "/api/domains"), as_json, text.table)


@main.command()
@click.argument("name")
@click.option(
    "--security",
    type=click.Choice(["required", "preferred", "off", "configured"]),
    help="Set it for new calls, now and after restarts; configured: as in the file.",
)
@asking
def domain(name: str, security: str | None, config: Path | None, url: str | None, as_json: bool) -> None:
    """One domain: its policy and the audit of its changes; or set its security."""
    path = "/api/domains/" + quoted(name)
    if security is not None:
        ask(config, url, path, {"security": security})
    show(ask(config, url, path), as_json, text.domain)


@main.command()
@asking
def reload(config: Path | None, url: str | None, as_json: bool) -> None:
    """Let the gateway read its configuration, certificates and passwords again; calls in progress go on."""
    show(ask(config, url, "/api/reload", {}), as_json, text.reloaded)


@main.command()
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with a line of names first.")
@asking
def cdr(as_csv: bool, config: Path | None, url: str | None, as_json: bool) -> None:
    """The call detail records of the latest calls that ended, one JSON line each."""
    show(ask(config, url, "/api/cdr"), as_json, text.comma_separated if as_csv else text.json_lines)


@main.group(invoke_without_command=True)
@asking
@click.pass_context
def peers(context: click.Context, config: Path | None, url: str | None, as_json: bool) -> None:
    """The providers, and the features that each peer was last seen to have."""
    if context.invoked_subcommand is None:
        show(ask(config, url, "/api/peers"), as_json, text.table)


@peers.command()
@click.argument("name")
@asking
def forget(name: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """Forget the features that a provider (or a phone, by its address) was seen to have: the next look counts."""
    answer = ask(config, url, "/api/peers/forget", {"name": name})
    show(answer, as_json, lambda _: f"{name} is forgotten")


@peers.command()
@click.argument("name")
@click.option("--tls", is_flag=True, help="It does TLS.")
@click.option("--srtp", is_flag=True, help="It does SRTP.")
@asking
def learn(name: str, tls: bool, srtp: bool, config: Path | None, url: str | None, as_json: bool) -> None:
    """Expect TLS or SRTP of a provider (or a phone) before it was ever seen to do it."""
    features = [feature for feature, told in (("tls", tls), ("srtp", srtp)) if told]
    if not features:
        raise click.UsageError("--tls or --srtp is needed")
    answer = ask(config, url, "/api/peers/learn", {"name": name, "features": features})
    show(answer, as_json, lambda _: f"{name} is expected to do {' and '.join(features).upper()}")


def _calls(config: Path | None, url: str | None, wanted: dict[str, str], limit: int) -> list[object]:
    """``limit`` calls at most, page by page."""
    found: list[object] = []
    place: dict[str, object] = {}
    while True:
        query = urllib.parse.urlencode(
            {**wanted, "limit": min(limit - len(found), PAGE), **place}, errors="surrogateescape"
        )
        answer = ask(config, url, f"/api/v1/calls?{query}")
        page, following = (answer.get("calls"), answer.get("next")) if isinstance(answer, dict) else ([], None)
        found += page if isinstance(page, list) else []
        if not isinstance(following, str) or len(found) >= limit or place == {"next": following}:
            return found[:limit]
        place = {"next": following}


_LOOKS = (audit, trace, deviations, network, pbxs, cluster, assess, probe, certs, number)
_ENABLING = (enable, rollout, resync, phone, provision)
for _group in (users, tokens, alerts, bans, budget, limits, *_LOOKS, *_ENABLING):
    main.add_command(_group)
