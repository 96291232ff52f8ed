"""The page of security and that of one source: the values of their templates.

Here: pure functions from bans, lists, stopped users and events. Not here: asking for them (ban_pages.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import quote

import attrs

from gateway.admin.pages.phrases import When, count, span
from gateway.base.json_codec import Json
from gateway.observe.clean_text import clean
from gateway.observe.figures import DefenceFigures, StoppedGuesser
from gateway.security.blocklists.blocklists import ListStanding
from gateway.security.firewall.nftables import KernelStanding

Row: TypeAlias = dict[str, Json]

SHOWN: Final = 100
"""Bans of one kind on the page."""
REASONS: Final = {
    "digest_failed": "Wrong passwords",
    "user_unknown": "Users that do not exist",
    "scan": "A scan for telephones",
    "malformed": "Malformed messages",
    "flood": "Too many requests",
    "stranger": "Requests of a stranger to the provider's side",
    "tls_failed": "Failed TLS handshakes",
    "certificate": "A wrong client certificate",
    "admin_login": "Failed log-ins to these pages",
    "provisioning": "Questions for files of phones without a proof",
    "operator": "An operator's order",
}
_BY: Final = {
    "pair": "of this user from there",
    "flow": "of a phone that is registered",
    "user": "of this user from everywhere",
    "source": "from there, of all users",
}


@attrs.frozen
class SecurityFacts:
    """All that the page shows."""

    figures: DefenceFigures
    kernel: KernelStanding | None
    bans: Sequence[Row]
    """Those that are not over, as `Ban.as_json` gives them, their texts clean; SHOWN of each state at most."""
    slowed: Sequence[Row]
    """Those that are slowed, as `ban_routes.slowed_row` gives them; SHOWN at most."""
    slowed_in_all: int
    lists: Sequence[ListStanding]
    stopped: Sequence[StoppedGuesser]
    events: Sequence[Mapping[str, object]]
    """As the page of events shows them."""
    may_act: bool
    """Whether the reader is an operator."""


def security_view(facts: SecurityFacts, when: When) -> dict[str, object]:
    """The values of the page."""
    states = {state: [ban_row(row, when) for row in facts.bans if row.get("state") == state] for state in _STATES}
    figures = facts.figures
    counts = {"waiting": figures.waiting, "active": figures.bans, "would_be": figures.would_be}
    return {
        "sentence": sentence(facts.figures, when),
        "kernel": facts.kernel,
        "waiting": states["waiting"],
        "active": states["active"],
        "would_be": states["would_be"],
        "more": {state: max(0, counts[state] - len(rows)) for state, rows in states.items()},
        "slowed": [slowed_words(row, when) for row in facts.slowed],
        "more_slowed": max(0, facts.slowed_in_all - len(facts.slowed)),
        "only_reports": figures.mode == "report",
        "stopped": [_stopped(one) for one in reversed(facts.stopped)],
        "lists": [_list(one) for one in facts.lists],
        "events": facts.events,
        "may_act": facts.may_act,
    }


_STATES: Final = ("waiting", "active", "would_be")


def sentence(figures: DefenceFigures, when: When) -> str:
    """How the defence stands."""
    if figures.mode == "off":
        return "The defence is off: nobody is watched, and only bans that operators order are in force."
    waiting = f"; {count(figures.waiting, 'ban')} {'waits' if figures.waiting == 1 else 'wait'} for approval"
    told = f"{count(figures.bans, 'source')} banned{waiting if figures.waiting else ''}."
    if figures.mode != "report":
        return told
    until = "" if figures.defends_from is None else f" until {when.day(figures.defends_from)}"
    return f"{told} The defence only reports{until}: {count(figures.would_be, 'source')} would be banned."


def ban_row(row: Row, when: When) -> dict[str, object]:
    """A ban as both pages show it."""
    source, until = str(row.get("source") or ""), row.get("until")
    reason = str(row.get("reason") or "")
    left = float(until) - when.now if isinstance(until, int | float) else 0.0
    since = row.get("since")
    whole = float(until) - float(since) if isinstance(until, int | float) and isinstance(since, int | float) else 0.0
    users, evidence = row.get("users"), row.get("evidence")
    return {
        **row,
        "reason_words": REASONS.get(reason, reason),
        "link": f"/security/bans/{quote(source, safe='')}",
        "left": span(left) if left > 0 else "ends now",
        "length": span(whole),
        "users": users if isinstance(users, list) else [],
        "evidence": evidence if isinstance(evidence, list) else [],
        "is_waiting": row.get("state") == "waiting",
        "state_words": _STATE_WORDS.get(str(row.get("state")), ""),
    }


_STATE_WORDS: Final = {
    "active": "Banned",
    "waiting": "Waits for approval",
    "would_be": "Would be banned",
    "lifted": "Lifted",
    "expired": "Over",
}


def source_view(source: str, ban: Row | None, lists: Sequence[str], is_spared: bool, when: When) -> dict[str, object]:
    """The values of the page of one source."""
    if ban is not None:
        reason = str(ban.get("reason"))
        told = f"{_STATE_WORDS.get(str(ban.get('state')), '')}: {REASONS.get(reason, reason)}."
    elif lists:
        told = "Not banned by itself; it is in a block list."
    else:
        told = "Not banned."
    if is_spared:
        told += " An operator lifted its ban within a day: the defence leaves it alone meanwhile."
    return {"source": source, "sentence": told, "ban": None if ban is None else ban_row(ban, when), "lists": lists}


def slowed_words(row: Row, when: When) -> dict[str, object]:
    """A source that is slowed, as both pages show it."""
    source, until, reason = str(row.get("source") or ""), row.get("until"), str(row.get("reason") or "")
    left = float(until) - when.now if isinstance(until, int | float) else 0.0
    return {
        **row,
        "link": f"/security/bans/{quote(source, safe='')}",
        "reason_words": REASONS.get(reason, reason),
        "address_words": "proved" if row.get("address") == "proved" else "not proved",
        "left": span(left) if left > 0 else "ends now",
    }


def slowed_view(row: Row | None, when: When) -> dict[str, object]:
    """The values of the page of one source, as far as it is slowed."""
    if row is None:
        return {"slowed": None}
    would = "would be slowed, but the defence only reports" if row.get("state") == "would_be" else "is slowed"
    return {"slowed": {**slowed_words(row, when), "sentence": f"This source {would}."}}


def _stopped(one: StoppedGuesser) -> dict[str, object]:
    return {"user": clean(one.user), "source": clean(one.source), "by": _BY.get(one.by, one.by)}


def _list(one: ListStanding) -> dict[str, object]:
    shape, words = ("up", "Read") if one.read_at is not None else ("unknown", "Not read yet")
    if one.why:
        shape, words = "degraded" if one.entries else "down", "Cannot be read"
    return {**attrs.asdict(one), "shape": shape, "words": words}
