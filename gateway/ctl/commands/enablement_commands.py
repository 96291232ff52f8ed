"""Commands about enabling a domain: a roll-out to its phones, its course, and orders to phones by hand.

Not here: asking (`asking`), the checks and the roll-outs themselves (the gateway's own), other commands (`main`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from gateway.ctl import text
from gateway.ctl.asking import ask, quoted, show
from gateway.ctl.common_options import asking

_ROLLOUTS: Final = "/api/v1/rollouts"
_PLAN_COLUMNS: Final = ("phone", "make", "model", "wave", "calls", "then", "order", "prospects")
_CODES: Final = {"as_wanted": 0, "not": 1, "failed": 1, "unknown": 2}
_LIST_COLUMNS: Final = ("number", "domain", "goal", "stage", "phones", "confirmed", "failed", "began", "by")
_PHONE_COLUMNS: Final = ("number", "phone", "make", "model", "wave", "state", "reason", "since")
_NOT_RIGHT: Final = ("failed", "unreachable", "unsupported")
_LONG_PATIENCE: Final = 120
"""Seconds: thousands of phones are gathered between calls, and an order has its answer 64 s later at most."""
_PAGE: Final = 1_000
_ACTIONS: Final = ("pause", "resume", "stop", "retry", "roll-back")


@click.command()
@click.argument("domain")
@click.option("--security", type=click.Choice(["required", "preferred", "off"]), help="The domain's from now on.")
@click.option("--phones", type=click.Choice(["required", "preferred"]), help="The goal of the phones' own leg.")
@click.option("--only", metavar="GLOB", default="", help="Users, or user@domain: those alone are asked.")
@click.option("--at", metavar="TIME", default="", help="Begin at 22:00, the next one, or at 2026-12-01T22:00.")
@click.option("--dry-run", is_flag=True, help="Show the verdict that calls would get, phone by phone.")
@asking
def enable(
    domain: str, dry_run: bool, config: Path | None, url: str | None, as_json: bool, **wanted: str | None
) -> None:
    """Enable DOMAIN: its security is set, and its phones are led to TLS, a few at a time, while they are idle.

    With --dry-run it ends with 0 where calls would be as wanted, with 1 where not, with 2 where nobody can tell.
    """
    change = {"domain": domain, "dry_run": dry_run, **{key: value for key, value in wanted.items() if value}}
    answer = ask(config, url, _ROLLOUTS, change, patience=_LONG_PATIENCE)
    show(answer, as_json, _plan if dry_run else _begun)
    if dry_run:
        raise SystemExit(_CODES.get(str(text.fields(text.fields(answer).get("outlook")).get("result")), 1))


@click.command()
@click.argument("words", metavar="[ID | pause|resume|stop|retry|roll-back ID [PHONE]]", nargs=-1)
@asking
def rollout(words: tuple[str, ...], config: Path | None, url: str | None, as_json: bool) -> None:
    """Roll-outs: all that are remembered, ID with its phones, or a change to one.

    pause asks no further phone until resume; stop is for good; retry asks those again that failed; roll-back leads
    phones back to clear, and the domain's security to the one of before. PHONE is a user, or its number there.
    """
    if not words:
        show(ask(config, url, _ROLLOUTS), as_json, _list)
    elif len(words) == 1 and words[0] not in _ACTIONS:
        show(_whole(config, url, words[0]), as_json, _one)
    elif words[0] in _ACTIONS and len(words) in (2, 3):
        path = f"{_ROLLOUTS}/{quoted(words[1])}/{words[0]}"
        change = {"phone": words[2]} if len(words) == 3 else {}
        show(ask(config, url, path, change, patience=_LONG_PATIENCE), as_json, _changed)
    else:
        raise click.UsageError(f"say nothing, ID, or one of {', '.join(_ACTIONS)} with ID and perhaps PHONE")


@click.command()
@click.argument("phone", required=False)
@click.option("--domain", help="All its phones, in waves, while they are idle.")
@click.option("--reboot", is_flag=True, help="Let them start again as well.")
@asking
def resync(
    phone: str | None, domain: str | None, reboot: bool, config: Path | None, url: str | None, as_json: bool
) -> None:
    """Tell PHONE to fetch its configuration: a user, user@domain, or a hardware address; or all phones of a domain."""
    if (phone is None) is (domain is None):
        raise click.UsageError("PHONE or --domain NAME is needed, one of them")
    change = {"reboot": reboot, **({"phone": phone} if phone is not None else {"domain": domain})}
    show(ask(config, url, "/api/v1/resync", change, patience=_LONG_PATIENCE), as_json, _resynced)


@click.command()
@click.argument("name", metavar="PHONE")
@click.option("--resync", "is_order", is_flag=True, help="Tell it to fetch its configuration now, before the look.")
@click.option("--reboot", is_flag=True, help="With --resync: let it start again as well.")
@asking
def phone(name: str, is_order: bool, reboot: bool, config: Path | None, url: str | None, as_json: bool) -> None:
    """One PHONE: a user, user@domain, or a hardware address. Its registrations, its make, whether its own leg is
    encrypted, the order that it obeys, and how its roll-out and its file stand. Nothing is sent to it but by --resync.
    """
    if reboot and not is_order:
        raise click.UsageError("--reboot goes with --resync")
    ordered: object = None
    if is_order:
        change = {"phone": name, "reboot": reboot}
        ordered = ask(config, url, "/api/v1/resync", change, patience=_LONG_PATIENCE)
    answer = ask(config, url, f"/api/v1/phones/{quoted(name)}", patience=_LONG_PATIENCE)
    told = {**text.fields(answer), **({} if ordered is None else {"resync": ordered})}
    show(told, as_json, phone_text)


def _whole(config: Path | None, url: str | None, number: str) -> object:
    """A roll-out with all its phones, page by page."""
    found: list[Mapping[str, object]] = []
    while True:
        after = found[-1].get("number") if found else 0
        answer = ask(config, url, f"{_ROLLOUTS}/{quoted(number)}?limit={_PAGE}&after={after}")
        page = text.rows(text.fields(answer).get("rows"))
        found += page
        if len(page) < _PAGE:
            return {**text.fields(answer), "rows": found}


def _plan(answer: object) -> str:
    told = text.fields(answer)
    outlook = text.fields(told.get("outlook"))
    rows = [_planned(row) for row in text.rows(told.get("plan"))]
    asked = sum(row["order"] != "-" for row in rows)
    head = f"{told.get('domain')}: security will be {told.get('security')}; {asked} of {len(rows)} phones will be asked"
    parts = [f"{head}. Nothing was changed.", str(outlook.get("sentence"))]
    if reasons := [{"reason": key, "phones": number} for key, number in text.fields(outlook.get("reasons")).items()]:
        parts.append(text.columns(reasons, ("reason", "phones")))
    if rows:
        parts.append(text.columns(rows, _PLAN_COLUMNS))
    return "\n\n".join([*parts, f"all facts of the provider: gatewayctl probe domain {told.get('domain')}"])


def _planned(row: Mapping[str, object]) -> dict[str, object]:
    reason = f" {row.get('reason')}" if row.get("reason") else ""
    best = row.get("best") if row.get("best") != row.get("verdict") else ""
    why = f"{row.get('words')} {row.get('why')}".strip()
    return {
        **row,
        "phone": _short(row),
        "calls": f"{row.get('verdict') or 'nobody can tell'}{reason}",
        "then": best or "-",
        "order": row.get("order") or "-",
        "prospects": why,
    }


def _begun(answer: object) -> str:
    told = text.fields(answer)
    begun = text.fields(told.get("rollout"))
    if not begun:
        return f"{told.get('domain')}: security is {told.get('security')} now; phones are left as they are"
    number = begun.get("number")
    what = "is planned" if begun.get("stage") == "planned" else "has begun"
    size = f"{begun.get('phones')} phones in {begun.get('waves')} waves"
    return f"roll-out {number} of {begun.get('domain')} {what}: {size} (gatewayctl rollout {number})"


def _list(answer: object) -> str:
    rows = [{**row, **_counts(row), "by": row.get("who")} for row in text.rows(answer)]
    return text.columns(rows, _LIST_COLUMNS) if rows else "No roll-out is remembered: gatewayctl enable DOMAIN"


def _counts(row: Mapping[str, object]) -> dict[str, object]:
    states = text.fields(row.get("states"))
    bad = sum(number for state in _NOT_RIGHT if isinstance(number := states.get(state), int))
    return {"confirmed": states.get("confirmed", 0), "failed": bad}


def _one(answer: object) -> str:
    return "\n".join(_lines(text.fields(answer)))


def _lines(told: Mapping[str, object]) -> Iterator[str]:
    why = f" ({told.get('why')})" if told.get("why") else ""
    yield f"roll-out {told.get('number')} of {told.get('domain')}: {told.get('stage')}{why}"
    states = text.fields(told.get("states"))
    counted = ", ".join(f"{number} {str(state).replace('_', ' ')}" for state, number in states.items())
    yield f"  wave {told.get('wave')} of {told.get('waves')}; {told.get('phones')} phones: {counted}"
    rows = text.rows(told.get("rows"))
    yield ""
    yield text.columns([{**row, "phone": _short(row)} for row in rows], _PHONE_COLUMNS)
    remedies = dict.fromkeys((str(row.get("reason")), _told(row)) for row in rows if row.get("remedy"))
    if remedies:
        yield "\nWhat to do"
        yield from (f"  {reason}: {words}" for reason, words in remedies)


def _told(row: Mapping[str, object]) -> str:
    return f"{row.get('words')} {row.get('remedy')}".strip()


def _changed(answer: object) -> str:
    told = text.fields(answer)
    one = text.fields(told.get("rollout"))
    stage = str(one.get("stage")).replace("_", " ")
    return f"roll-out {one.get('number')} of {one.get('domain')} is {stage}; {told.get('phones')} phones"


def _resynced(answer: object) -> str:
    told = text.fields(answer)
    if told.get("rollout") is not None:
        return f"roll-out {told.get('rollout')} goes through its phones (gatewayctl rollout {told.get('rollout')})"
    rows = text.rows(told.get("phones"))
    return "\n".join(f"{_short(row)} ({row.get('make')}): {row.get('words')} [{row.get('detail')}]" for row in rows)


def _short(row: Mapping[str, object]) -> str:
    return str(row.get("address_of_record")).removeprefix("sip:")


def phone_text(answer: object) -> str:
    """One phone for people, a paragraph for each thing that is known of it."""
    told = text.fields(answer)
    parts = [_resynced(told.get("resync"))] if told.get("resync") is not None else []
    parts += [text.table_of_one(_registration(row)) for row in text.rows(told.get("registrations"))]
    if not text.rows(told.get("registrations")):
        parts.append("It is not registered now.")
    parts += [text.table_of_one(_course(row)) for row in text.rows(told.get("rollouts"))]
    parts += [text.table_of_one(_file(row)) for row in text.rows(told.get("files"))]
    return "\n\n".join(parts)


def _registration(row: Mapping[str, object]) -> dict[str, object]:
    made = " ".join(str(row.get(key)) for key in ("make", "model", "firmware") if row.get(key))
    way = f"{row.get('transport')} {row.get('source')}{'' if row.get('is_reachable') else ', out of reach'}"
    led = {"led": "a roll-out has led it to TLS: it is refused where it comes in clear"} if row.get("is_led") else {}
    return {
        "phone": _short(row),
        "make": made or row.get("user_agent") or "not told",
        "device": row.get("device"),
        "registered over": f"{way}, for {row.get('expires_in')} s",
        "contact": row.get("contact"),
        "own leg": f"{row.get('leg')}: {row.get('why')}",
        **led,
        "abilities": row.get("abilities"),
        "in a call": row.get("in_call"),
        "order": f"{row.get('order')} ({row.get('order_make')}); with a reboot: {row.get('reboot_order') or 'none'}",
    }


def _course(row: Mapping[str, object]) -> dict[str, object]:
    phone = text.fields(row.get("phone"))
    reason = f"{phone.get('reason')}: {_told(phone)}" if phone.get("reason") else "-"
    return {
        "roll-out": f"{row.get('rollout')} of {row.get('domain')}, {row.get('stage')}",
        "state": phone.get("state"),
        "reason": reason,
        "its own words": phone.get("detail") or "-",
        "since": phone.get("since"),
        "orders so far": phone.get("attempts"),
    }


def _file(row: Mapping[str, object]) -> dict[str, object]:
    had = f"generation {row.get('fetched')}" if row.get("fetched") else "none"
    return {
        "file of": row.get("device"),
        "asks for": row.get("protection"),
        "wanted": f"generation {row.get('generation')}",
        "fetched": f"{had} ({row.get('state')}) {row.get('proof') or ''}".rstrip(),
        "fetched at": row.get("fetched_at"),
    }
