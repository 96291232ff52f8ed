"""The state of the gateway in short: one sentence, and how each part stands, as JSON.

    Facts -> status() -> /api/v1/status, `gatewayctl status`, the front page

Here: pure functions. Not here: the matters that need a look (`looks`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gateway.admin.status.facts import CLEAR, WEAKER, Facts, Row, calls_words, number_in, tally, within
from gateway.admin.status.looks import looks


def status(facts: Facts) -> Row:
    """Everything in short, as JSON."""
    return {
        "name": facts.name,
        "version": facts.version,
        "now": facts.now,
        "up_since": facts.up_since,
        "is_draining": facts.is_draining,
        "sentence": sentence(facts),
        "needs_a_look": [look.as_json() for look in looks(facts)],
        "last_24_hours": tally(facts.tallies).as_json(),
        "providers": [*facts.providers],
        "domains": [{**row, **tally(facts.tallies, domain=str(row.get("name"))).as_json()} for row in facts.domains],
        "phones": facts.counts.get("bindings"),
        "calls": facts.counts.get("calls"),
        "ports": facts.ports,
        "relays": facts.relays,
        "certificates": [*facts.certificates],
        "defence": facts.defence,
    }


def sentence(facts: Facts) -> str:
    """The answer to the one question: are our calls encrypted, and if not, why."""
    day = tally(facts.tallies)
    if not day.all:
        return "No call in the last 24 hours."
    if not day.answered:
        return f"Last 24 h: {calls_words(day.all)}, none of them came about, so nothing is claimed."
    if day.encrypted == day.answered:
        told = f"Last 24 h: {calls_words(day.answered)}, all encrypted to the provider"
    else:
        told = (
            f"Last 24 h: {calls_words(day.answered)}, {_share(day.encrypted, day.answered)} encrypted to the provider"
        )
    parts = [told]
    for number, words, verdicts in ((day.of(CLEAR), "in clear", (CLEAR,)), (day.of(*WEAKER), "weaker", WEAKER)):
        if number:
            parts.append(f"{number:,} {words}{_why(facts, verdicts)}")
    return "; ".join(parts) + "."


def _why(facts: Facts, verdicts: Sequence[str]) -> str:
    """ ", all to main: it answered without SRTP": the main reason of these verdicts."""
    counted: Counter[tuple[str, str]] = Counter()
    for row in facts.tallies:
        if row.get("verdict") in verdicts:
            place = str(row.get("provider") or row.get("domain") or "")
            counted[place, str(row.get("reason") or "")] += number_in(row.get("calls"))
    (place, reason), most = counted.most_common(1)[0]
    which = "" if counted.total() == 1 else "all " if most == counted.total() else f"{most:,} of them "
    # The cause up to its first comma: the rest is on the page of the calls.
    cause = facts.remedies.get(reason, ("", ""))[0].partition(",")[0].rstrip(".")
    where = f", {which}to {place}" if place else ""
    return f"{where} ({within(cause)})" if cause else where


def _share(part: int, whole: int) -> str:
    percent = min(100 * part / whole, 99.9) if part < whole else 100.0
    return f"{percent:.1f} %"
