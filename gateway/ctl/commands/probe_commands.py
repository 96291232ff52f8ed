"""gatewayctl probe: a dry run of calls at a provider, phone, domain or URI, by the gateway itself.

    probe KIND TARGET -> POST /api/v1/probes -> GET /api/v1/probes/ID until it is done -> text, JSON, exit code

Exit codes: 0 as wanted (TLS and SRTP), 1 not, or the probe failed, 2 nobody can tell. Here: the commands, and the text
of their answers. Not here: the work, which is the gateway's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from gateway.ctl import text
from gateway.ctl.asking import ask, quoted, show
from gateway.ctl.common_options import asking

PROBES: Final = "/api/v1/probes"
LOOK_SECONDS: Final = 0.5
PATIENCE: Final = 45.0
"""Seconds: longer than the gateway lets a probe run."""
MOST_BYTES: Final = 48 * 1024
_CODES: Final = {"as_wanted": 0, "not": 1, "failed": 1, "unknown": 2}
_SYSTEM: Final = "system"
_PHONE: Final = ("address_of_record", "make", "model", "transport", "verdict", "why")


@click.group()
def probe() -> None:
    """The verdict that a call would get, without a call: DNS, TLS, certificate, SIP, policy.

    Ends with 0 where calls would have TLS and SRTP, with 1 where not, with 2 where nobody can tell.
    """


@probe.command()
@click.argument("name")
@click.option("--call", metavar="NUMBER", default="", help="Call this number, an echo or announcement, to see SRTP.")
@click.option("--user", metavar="AOR", default="", help="Ask as this user, whose password the gateway holds.")
@click.option("--full", is_flag=True, help="Try each cipher, and call the number in clear, too.")
@click.option("--learn", is_flag=True, help="Remember the TLS and SRTP that are seen, as after a call.")
@asking
def provider(
    name: str, call: str, user: str, full: bool, learn: bool, config: Path | None, url: str | None, as_json: bool
) -> None:
    """A provider of the configuration, as calls meet it."""
    more = {"call": call, "user": user, "full": full, "learn": learn}
    _probed(config, url, as_json, {"kind": "provider", "target": name, **more})


@probe.command()
@click.argument("address_of_record", metavar="AOR")
@asking
def phone(address_of_record: str, config: Path | None, url: str | None, as_json: bool) -> None:
    """A registered phone: its way, OPTIONS, and the protection of its own leg. Nothing rings."""
    _probed(config, url, as_json, {"kind": "phone", "target": address_of_record})


@probe.command()
@click.argument("name")
@click.option("--call", metavar="NUMBER", default="", help="Call this number at its provider, to see SRTP.")
@click.option("--user", metavar="AOR", default="", help="Ask as this user, whose password the gateway holds.")
@click.option(
    "--security",
    type=click.Choice(["required", "preferred", "off"]),
    help="One that it may have yet; else its own.",
)
@asking
def domain(
    name: str, call: str, user: str, security: str | None, config: Path | None, url: str | None, as_json: bool
) -> None:
    """A domain: its provider, and all of its phones as they are known."""
    more = {} if security is None else {"security": security}
    _probed(config, url, as_json, {"kind": "domain", "target": name, "call": call, "user": user, **more})


@probe.command()
@click.argument("uri", metavar="sip:HOST")
@click.option("--trust", metavar="FILE|system", required=True, help="The authorities that it is verified against.")
@click.option("--full", is_flag=True, help="Try each cipher.")
@asking
def uri(uri: str, trust: str, full: bool, config: Path | None, url: str | None, as_json: bool) -> None:
    """A server that is not in the configuration, before it is."""
    lines = [] if trust == _SYSTEM else _lines(Path(trust))
    _probed(config, url, as_json, {"kind": "uri", "target": uri, "trust": lines, "full": full})


@probe.command()
@click.argument("name", metavar="[PROVIDER]", required=False)
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@asking
def history(name: str | None, limit: int, config: Path | None, url: str | None, as_json: bool) -> None:
    """The probes that were made by themselves ([[provider]] probe_hours), the latest first."""
    provider = f"&provider={quoted(name)}" if name else ""
    show(ask(config, url, f"{PROBES}/history?limit={limit}{provider}"), as_json, _history)


def _history(answer: object) -> str:
    rows = [{**row, "verdicts": _verdicts(row)} for row in text.rows(answer)]
    columns = ("at", "provider", "result", "change", "verdicts")
    return text.columns(rows, columns) if rows else "none was made: [[provider]] probe_hours"


def _verdicts(row: Mapping[str, object]) -> str:
    return "; ".join(f"{name}: {verdict}" for name, verdict in text.fields(row.get("verdicts")).items()) or "-"


def _probed(config: Path | None, url: str | None, as_json: bool, order: Mapping[str, object]) -> None:
    """Order a probe, wait for its end, print it, and end with its code."""
    answer = ask(config, url, PROBES, dict(order))
    until = time.monotonic() + PATIENCE
    while text.fields(answer).get("result") == "running":
        if time.monotonic() > until:
            raise click.ClickException("the probe does not come to an end")
        time.sleep(LOOK_SECONDS)
        answer = ask(config, url, f"{PROBES}/{quoted(str(text.fields(answer).get('id')))}")
    if "facts" not in text.fields(answer):
        answer = ask(config, url, f"{PROBES}/{quoted(str(text.fields(answer).get('id')))}")
    click.echo(text.as_json(answer, indent=2) if as_json else text.shown(answer, laid_out))
    raise SystemExit(_CODES.get(str(text.fields(answer).get("result")), 1))


def _lines(file: Path) -> list[str]:
    """The lines of a file of authorities, which holds no key. Raises ClickException."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise click.ClickException(text.clean_lines(f"{file}: cannot be read: {error.strerror}")) from None
    if len(data) > MOST_BYTES:
        raise click.ClickException(text.clean_lines(f"{file}: is longer than {MOST_BYTES} bytes"))
    if b"PRIVATE KEY" in data:
        raise click.ClickException(text.clean_lines(f"{file}: holds a private key, which is sent to nobody"))
    return data.decode("ascii", "replace").splitlines()


def laid_out(answer: object) -> str:
    """A probe for people."""
    row = text.fields(answer)
    facts = text.fields(row.get("facts"))
    provider = text.fields(facts.get("provider")) or facts
    parts = [str(row.get("sentence"))]
    if text.rows(provider.get("rows")):
        parts += _of_provider(provider)
    phones = text.rows(facts.get("phones"))
    if phones:
        parts.append(text.columns(phones, _PHONE))
    for key, words in (
        ("cut_off_by_required", "the policy required would refuse the calls of"),
        ("cut_off_by_tls", "a demand of TLS would cut off"),
    ):
        if names := facts.get(key):
            parts.append(f"{words}: {_joined(names)}")
    return "\n\n".join(parts)


def _of_provider(facts: Mapping[str, object]) -> Iterator[str]:
    if dns := [_dns(one) for one in text.rows(facts.get("dns"))]:
        yield text.columns(dns, ("record", "name", "values", "seconds"))
    for one in text.rows(facts.get("targets")):
        if ciphers := _joined(one.get("ciphers")):
            yield f"ciphers of TLS 1.2 that {one.get('target')} takes: {ciphers}"
    if facts.get("dns_failure"):
        yield f"DNS: {facts.get('dns_failure')}"
    targets = [_target(one) for key in ("targets", "clear") for one in text.rows(facts.get(key))]
    if targets:
        yield text.columns(targets, ("target", "tls", "versions", "certificate", "options"))
    if told := text.fields(facts.get("digest")):
        algorithms = _joined(told.get("algorithms")) or "no challenge"
        yield f"password of {told.get('user')}: {told.get('password')} ({algorithms}) {told.get('why') or ''}".rstrip()
    if made := [_call(one) for one in text.rows(facts.get("calls"))]:
        yield text.columns(made, ("number", "way", "offer", "answer", "media"))
    yield f"memory: it {facts.get('memory')}"
    rows = [_row(one) for one in (*text.rows(facts.get("rows")), *text.rows(facts.get("domains")))]
    yield text.columns(rows, ("policy", "verdict", "reason", "status", "seen", "way"))
    if remarks := facts.get("remarks"):
        yield "\n".join(map(str, remarks)) if isinstance(remarks, list) else str(remarks)


def _dns(one: Mapping[str, object]) -> dict[str, object]:
    seconds = one.get("seconds")
    left = f"{seconds:.0f}" if isinstance(seconds, int | float) else "-"
    return {**one, "record": one.get("kind"), "values": _joined(one.get("values")) or "none", "seconds": left}


def _target(one: Mapping[str, object]) -> dict[str, object]:
    why = f"{one.get('failure')}: {one.get('why')}" if one.get("failure") else ""
    found = f" ({one.get('found')})" if one.get("found") else ""
    tls = f"{one.get('version')} {one.get('cipher')}" if one.get("version") else "-"
    asked = ", wants our certificate" if one.get("wants_certificate") else ""
    chain = text.rows(one.get("chain"))
    shown = f"{_joined(chain[0].get('names'))}, {chain[0].get('days_left')} days" if chain else "-"
    sip = text.fields(one.get("sip"))
    answer = f"{sip.get('status')} {sip.get('reason')}" if sip.get("status") else str(sip.get("why") or "-")
    return {
        "target": one.get("target"),
        "tls": (why + found or tls) + asked,
        "versions": _versions(text.rows(one.get("versions"))),
        "certificate": shown,
        "options": answer,
    }


def _versions(rows: Sequence[Mapping[str, object]]) -> str:
    done = [
        f"{one.get('version')}{'' if one.get('is_ours') else ' (not used here)'}" for one in rows if one.get("is_done")
    ]
    return " ".join(done) or ("none" if rows else "-")


def _call(one: Mapping[str, object]) -> dict[str, object]:
    said = [str(one.get("status") or "none"), str(one.get("reason") or ""), str(one.get("profile") or "")]
    answer = " ".join(word for word in (*said, _joined(one.get("suites"))) if word)
    why = f": {one.get('why')}" if one.get("why") else ""
    media = f"{one.get('received')} of {one.get('sent')} packets came back" if one.get("sent") else "-"
    return {**one, "offer": one.get("offered"), "answer": answer + why, "media": media}


def _row(one: Mapping[str, object]) -> dict[str, object]:
    told = text.fields(one.get("prediction"))
    steps = [
        f"{step.get('signalling')} {step.get('encryption')}: {step.get('outcome')}"
        for step in text.rows(told.get("steps"))
    ]
    policy = f"{one.get('domain')} ({one.get('security')})" if "domain" in one else one.get("policy")
    return {
        "policy": policy,
        "verdict": told.get("verdict") or "nobody can tell",
        "reason": told.get("reason") or "-",
        "status": told.get("status") or "-",
        "seen": "now" if told.get("is_seen") else "in part expected" if told.get("verdict") else "-",
        "way": "; ".join(steps),
    }


def _joined(values: object) -> str:
    return ", ".join(map(str, values)) if isinstance(values, list) else ""
