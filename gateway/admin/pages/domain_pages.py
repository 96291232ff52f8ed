"""The list of domains, one domain with its switch, and the question before a switch: the values of their templates.

Here: pure functions. Before a switch is made, its effects are told in numbers: how many phones, how many calls
are up, and how the calls of the last 24 hours would have gone. Those are facts about yesterday, and are worded so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlencode

import attrs

from gateway.admin.pages.figures.charts import Bar, stacked
from gateway.admin.pages.phrases import TONE_WORDS, TONES, When, claim, count, share
from gateway.admin.status.facts import CLEAR, ENCRYPTED, WEAKER, Facts, tally
from gateway.base.json_codec import Json
from gateway.state.listing.call_statistics import DAY, Statistics

Row: TypeAlias = dict[str, Json]

MEANINGS: Final = {
    "required": (
        "Required",
        "A call reaches the provider by TLS and SRTP, or is refused. Emergency numbers go through in any case.",
    ),
    "preferred": (
        "Preferred",
        "TLS and SRTP are tried first. A call goes on with less where the provider lacks them, and says so.",
    ),
    "off": ("Off", "Calls leave in clear. Nothing is tried, and everybody on the way can listen."),
}


BUDGET_WORDS: Final = {
    "good": "It lasts.",
    "burns": "It will not last 30 days at this pace.",
    "burns_fast": "It is being spent fast: look at the reasons now.",
    "spent": "It is spent.",
}


@attrs.frozen
class Option:
    """One position of the switch."""

    code: str
    words: str
    meaning: str
    effect: str
    is_now: bool


def domains_view(rows: Sequence[Row], facts: Facts) -> dict[str, object]:
    """The values of the list."""
    counted = [(row, tally(facts.tallies, domain=str(row.get("name")))) for row in rows]
    shown = [
        {**row, "answered": day.answered, "share": share(day.encrypted, day.answered), "clear": day.of(CLEAR)}
        for row, day in counted
    ]
    weak = [str(row.get("name")) for row, day in counted if day.answered > day.encrypted]
    if not rows:
        told = "No domain is configured, so every request is refused."
    elif not weak:
        told = f"{count(len(rows), 'domain')}; in the last 24 hours no call of theirs left with less than TLS and SRTP."
    else:
        told = f"{count(len(rows), 'domain')}; in 24 hours calls of {_listed(weak)} left with less than TLS and SRTP."
    return {"rows": shown, "sentence": told}


def options(domain: Row, facts: Facts, phones: int) -> list[Option]:
    """The three positions of a domain's switch, with the effect of each."""
    now = str(domain.get("security"))
    return [
        Option(code, words, meaning, effects(domain, code, facts, phones)[0], code == now)
        for code, (words, meaning) in MEANINGS.items()
    ]


def effects(domain: Row, code: str, facts: Facts, phones: int) -> list[str]:
    """The effects of a switch to ``code``, the most important first."""
    day = tally(facts.tallies, domain=str(domain.get("name")))
    less, whole = day.of(CLEAR, *WEAKER), day.answered
    up = facts.calls_up.get(str(domain.get("name")).lower(), 0)
    if code == "required":
        main = f"Of {count(whole, 'call')} in the last 24 hours, {less:,} would have been refused."
        if not less:
            main = f"Of {count(whole, 'call')} in the last 24 hours, none would have been refused."
    elif code == "preferred":
        refused = day.of("REFUSED")
        main = f"Nothing that works now stops working; {count(refused, 'call')} of 24 hours "
        main += "was refused." if refused == 1 else "were refused."
        if domain.get("security") == "off":
            main = "New calls are encrypted where the provider can; none is refused for it."
    else:
        main = f"Of {count(whole, 'call')} in the last 24 hours, {day.encrypted:,} would have lost their encryption."
    return [
        main,
        f"{count(phones, 'phone')} of this domain {_is_or_are(phones)} registered; nothing changes at the phones.",
        f"{count(up, 'call')} of it {_is_or_are(up)} up and will go on as before; new calls follow the switch at once.",
        "It can be switched back here at any time, and survives a restart.",
    ]


@attrs.frozen
class DomainDays:
    """A domain's calls of one day."""

    at: float
    verdicts: Mapping[str, int]


def days_of(statistics: Statistics, name: str) -> list[DomainDays]:
    """The 30 days up to now of one domain, those without calls among them."""
    last = int(statistics.at) // DAY * DAY
    verdicts: dict[int, dict[str, int]] = {}
    for one in statistics.days:
        if one.domain.lower() == name.lower():
            known = verdicts.setdefault(one.at, {})
            known[one.verdict] = known.get(one.verdict, 0) + one.calls
    return [DomainDays(at, verdicts.get(at, {})) for at in range(last - 29 * DAY, last + DAY, DAY)]


def domain_view(domain: Row, facts: Facts, days: Sequence[DomainDays], phones: int, when: When) -> dict[str, object]:
    """The values of the page of one domain, but for the right to switch it."""
    name = str(domain.get("name"))
    bars = [Bar(when.day(day.at), _tones(day.verdicts)) for day in days]
    totals = {tone: sum(bar.tones[tone] for bar in bars) for tone in TONES}
    changes = [change(entry) for entry in reversed(_rows(domain.get("changes")))]
    return {
        "domain": domain,
        "sentence": domain_sentence(domain, facts),
        "options": options(domain, facts, phones),
        "bars": stacked(bars, f"Calls of {name} on each of the last {len(bars)} days by verdict"),
        "tallest": max((bar.total for bar in bars), default=0),
        "marks": [when.day(day.at)[5:] for day in days[::6]] + ["today"] if days else [],
        "legend": [(tone, TONE_WORDS[tone], totals[tone]) for tone in TONES if totals[tone]],
        "reasons": [*_reasons(name, facts)],
        "changes": changes[:20],
        "roll_back": _roll_back(domain),
        "budget": next((row for row in facts.budgets if str(row.get("domain")).lower() == name.lower()), None),
        "budget_words": BUDGET_WORDS,
    }


def domain_sentence(domain: Row, facts: Facts) -> str:
    """The domain's encryption, and how it went."""
    day = tally(facts.tallies, domain=str(domain.get("name")))
    words = MEANINGS.get(str(domain.get("security")), (str(domain.get("security")), ""))[0].lower()
    told = f"Encryption is {words}."
    if not day.answered:
        return told + " No call came about in the last 24 hours."
    less = day.answered - day.encrypted
    told += f" {share(day.encrypted, day.answered)} of {count(day.answered, 'call')} in the last 24 hours"
    told += " were encrypted to the provider" if less or day.answered != 1 else " was encrypted to the provider"
    return told + (f"; {less:,} {'was' if less == 1 else 'were'} not." if less else ".")


def change(entry: Row) -> dict[str, Json]:
    """An entry of the audit in words."""
    known = {"at", "who", "what", "domain", "from", "to", "because", "changes", "peer", "prev", "source", "hash"}
    what, changes = str(entry.get("what") or ""), entry.get("changes")
    words = {
        "switch": f"Switched {entry.get('domain', '')} from {entry.get('from')} to {entry.get('to')}",
        "reload": "Read the configuration again",
        "start": "Started with another configuration",
        "refused": f"Was refused: {entry.get('change')}",
        "forget": f"Forgot what {entry.get('peer')} was seen to do",
        "learn": f"Expects more of {entry.get('peer')}",
    }.get(what, what[:1].upper() + what[1:].replace("_", " "))
    details = [str(line) for line in changes] if isinstance(changes, list) else []
    details += [str(entry["because"])] if entry.get("because") else []
    details += [f"{key} {value}" for key, value in entry.items() if key not in known and value not in (None, "")]
    at = str(entry.get("at") or "")
    return {
        "words": words,
        "who": entry.get("who"),
        "at": at,
        "at_words": at.replace("T", " ")[:19] + (" UTC" if at.endswith("Z") else ""),
        "details": "; ".join(details),
    }


def _roll_back(domain: Row) -> str | None:
    """The position before the last switch, if that is another than now."""
    for entry in reversed(_rows(domain.get("changes"))):
        if entry.get("what") == "switch" and entry.get("to") == domain.get("security"):
            before = str(entry.get("from"))
            return before if before in MEANINGS and before != domain.get("security") else None
    return None


def _reasons(name: str, facts: Facts) -> list[dict[str, object]]:
    found: dict[str, int] = {}
    for row in facts.tallies:
        calls = row.get("calls")
        if str(row.get("domain")).lower() == name.lower() and row.get("verdict") not in (*ENCRYPTED, "UNANSWERED", ""):
            code = str(row.get("reason") or row.get("verdict"))
            found[code] = found.get(code, 0) + (calls if isinstance(calls, int) else 0)
    return [
        {
            "code": code,
            "calls": calls,
            "cause": facts.remedies.get(code, ("", ""))[0],
            "remedy": facts.remedies.get(code, ("", ""))[1],
            "link": "/calls?" + urlencode({"domain": name, "reason": code, "since": "24h"}),
        }
        for code, calls in sorted(found.items(), key=lambda item: -item[1])
    ]


def _is_or_are(number: int) -> str:
    return "is" if number == 1 else "are"


def _tones(verdicts: Mapping[str, int]) -> dict[str, int]:
    counted = dict.fromkeys(TONES, 0)
    for verdict, number in verdicts.items():
        counted[claim(verdict).tone] += number
    return counted


def _rows(value: Json) -> list[Row]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
